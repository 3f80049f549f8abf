#include "isolation/program/plugin.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "plugins/interfaces.hpp"

namespace berth::isolation {

namespace {

constexpr int kHighDescriptor = 1000;

// A table as this build knows it.
template <class T>
const void* knownTable(const void* given) {
  return new T(detail::known(static_cast<const T*>(given)));
}

// By its own path where that still leads to it: what it loads from beside it is found by that.
std::string pathOf(const LoadRequest& request, const support::Fd& file) {
  struct stat given {};
  struct stat there {};
  if (!file || ::fstat(file.get(), &given) != 0) return request.path;
  if (::stat(request.path.c_str(), &there) == 0 && there.st_dev == given.st_dev &&
      there.st_ino == given.st_ino)
    return request.path;
  return support::strCat("/proc/self/fd/", file.get());
}

absl::StatusOr<std::shared_ptr<const plugins::Library>> loadLibrary(const LoadRequest& request,
                                                                    const support::Fd& file) {
  const std::string path = pathOf(request, file);
  const auto kind = plugins::kindOf(request.interfaceId);
  return kind.has_value() ? plugins::Library::load(path, *kind) : plugins::Library::load(path);
}

struct flock lockOf(off_t first, off_t count, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = first;
  lock.l_len = count;
  return lock;
}

template <class Body>
void withTable(size_t index, Body body) {
  [&]<size_t... I>(std::index_sequence<I...>) {
    (void)((I == index && (body(std::type_identity<std::tuple_element_t<I, Tables>>()), true)) ||
           ...);
  }
  (std::make_index_sequence<kTableCount>());
}

template <auto Member>
bool callMember(const StructOf<Member>& table, void* instance, Decoder& in, Asked& asked,
                Encoder& out, Function<Member> /*function*/) {
  if (table.*Member == nullptr) return false;
  Served<Member, Asked> served(instance, in, asked);
  if (!in.finished()) return false;
  served.run(table.*Member, out);
  return true;
}

template <class T>
bool callTable(const T& table, size_t place, void* instance, Decoder& in, Asked& asked,
               Encoder& out) {
  bool understood = false;
  size_t index = 0;
  std::apply(
      [&](auto... functions) {
        (void)((index++ == place &&
                (understood = callMember(table, instance, in, asked, out, functions), true)) ||
               ...);
      },
      Functions<T>::list());
  return understood;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Plugin>> Plugin::load(const LoadRequest& request,
                                                     const support::Fd& file, HostProxy& host) {
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<const plugins::Library> library,
                         loadLibrary(request, file));
  const berth_plugin& description = library->description();
  std::unique_ptr<Plugin> plugin(new Plugin(library, host));
  plugin->tables_[0] = &description;
  plugin->number_ = request.place;
  plugin->alone_ = request.place == 0 && !request.again;
  absl::Status complete;
  for (const size_t index : {size_t{1}, size_t{2}, size_t{3}, size_t{4}}) {
    withTable(index, [&]<class T>(std::type_identity<T>) {
      if (interfaceOf(index) != view(description.interface_id)) return;
      auto* const table = new T{};
      complete = plugins::copyTable(library->kind(), description.functions, table, sizeof(T));
      plugin->tables_[index] = table;
    });
  }
  if (!complete.ok())
    return support::annotate(
        complete, support::strCat("plugin file ", request.path, " (", library->name(), ")"));
  return plugin;
}

Description Plugin::description() const {
  const berth_plugin& from = library_->description();
  return {.abiMajor = from.abi_major,
          .abiMinor = from.abi_minor,
          .requiredMinor = from.required_minor,
          .threading = from.threading,
          .name = copy(from.name),
          .version = copy(from.version),
          .summary = copy(from.summary),
          .interfaceId = copy(from.interface_id),
          .options = copy(from.options),
          .extends = from.get_extension != nullptr,
          .examines = from.examine != nullptr};
}

void Plugin::serve(support::Fd socket, support::Fd cancel) {
  Channel channel(std::move(socket));
  for (;;) {
    absl::StatusOr<Frame> frame = channel.receive();
    if (!frame.ok()) return;
    Asked asked(channel, cancel.get());
    Asked::current() = &asked;
    Encoder out;
    out.raw(Outcome::kReturned);
    try {
      if (!answer(*frame, asked, out)) return;
      if (const std::string reason = asked.spoilt(); !reason.empty()) {
        out = Encoder();
        out.raw(Outcome::kSpoilt);
        out.text(reason);
      }
    } catch (...) {
      out = Encoder();
      out.raw(Outcome::kThrew);
    }
    Asked::current() = nullptr;
    if (!channel.send(Kind::kReply, frame->number, out).ok()) return;
  }
}

bool Plugin::answer(Frame& frame, Asked& asked, Encoder& out) {
  Decoder in(frame.bytes, frame.descriptors);
  switch (frame.kind) {
    case Kind::kCall:
      return call(frame.number, in, asked, out);
    case Kind::kCreate:
      return create(in, out);
    case Kind::kExtension:
      return extension(frame.number, in, out);
    default:
      return false;
  }
}

bool Plugin::call(uint16_t number, Decoder& in, Asked& asked, Encoder& out) {
  const size_t index = number >> 8;
  if (index >= kTableCount) return false;
  const void* table = nullptr;
  {
    const std::lock_guard lock(mutex_);
    table = tables_[index];
  }
  if (table == nullptr) return false;
  if (number == kNumber<&berth_plugin::start>) awaitPredecessor();
  bool understood = false;
  withTable(index, [&]<class T>(std::type_identity<T>) {
    understood = callTable(*static_cast<const T*>(table), number & 0xFF, instance_, in, asked, out);
  });
  if (number == kNumber<&berth_plugin::stop>) host_.tellAfterAll(Kind::kStopped, Encoder());
  return understood;
}

// The process of a host that was killed may take a moment to end, and has the instance's locks and
// sockets until then.
void Plugin::awaitPredecessor() {
  const std::string path = copy(host_.get()->state_directory) + ".lock";
  {
    const support::Fd opened(
        support::steps::create(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
    // Descriptors are closed in their order, and this one after those of the plugin.
    place_ = support::Fd(::fcntl(opened.get(), F_DUPFD_CLOEXEC, kHighDescriptor));
  }
  // Without a directory there is nothing to share. The lock is the process's and not its
  // children's.
  if (!place_) return;
  struct flock wanted = lockOf(number_, alone_ ? 0 : 1, F_WRLCK);
  if (::fcntl(place_.get(), F_SETLK, &wanted) != 0) {
    host_.get()->log(host_.get()->context, BERTH_LOG_WARNING,
                     str("waits for the end of the process that had its place"), nullptr, 0);
    while (::fcntl(place_.get(), F_SETLKW, &wanted) != 0 && errno == EINTR) continue;
  }
  // The other places are for those that come beside this one.
  struct flock others = lockOf(number_ + 1, 0, F_UNLCK);
  if (alone_) ::fcntl(place_.get(), F_SETLK, &others);
}

bool Plugin::create(Decoder& in, Encoder& out) {
  host_.describe(in);
  if (!in.finished()) return false;
  GivenError error;
  const berth_code code = library_->description().create(host_.get(), &instance_, error.get());
  out.raw(code);
  out.text(error.status(code).message());
  return true;
}

const void* Plugin::findExtension(std::string_view id, uint32_t revision) {
  const berth_plugin& description = library_->description();
  if (description.get_extension == nullptr) return nullptr;
  return description.get_extension(instance_, str(id), revision);
}

bool Plugin::extension(uint16_t number, Decoder& in, Encoder& out) {
  if (number == kOtherExtension) {
    const std::string_view id = in.text();
    const auto revision = in.raw<uint32_t>();
    if (!in.finished()) return false;
    out.raw(static_cast<uint8_t>(findExtension(id, revision) != nullptr));
    return true;
  }
  if (number >= std::size(kExtensions) || !in.finished()) return false;
  const void* const found = findExtension(kExtensions[number], 1);
  out.raw(static_cast<uint8_t>(found != nullptr));
  if (found == nullptr) return true;
  withTable(kFirstExtension + number, [&]<class T>(std::type_identity<T>) {
    const T* table = nullptr;
    {
      const std::lock_guard lock(mutex_);
      const void*& kept = tables_[kFirstExtension + number];
      if (kept == nullptr) kept = knownTable<T>(found);
      table = static_cast<const T*>(kept);
    }
    encodeTable(out, *table);
  });
  return true;
}

}  // namespace berth::isolation
