#include "images/import.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "images/reference.hpp"

namespace berth::images {

using support::oneLine;
using support::strCat;

namespace {

constexpr size_t kMostShown = 300;  // bytes of a name, which an archive may make up
constexpr const char* kNameAnnotation = "org.opencontainers.image.ref.name";

// A name without a registry, a path or a tag is a mere tag (OCI image specification, "Pre-Defined
// Annotation Keys").
bool isBareTag(std::string_view name) {
  return name.find_first_of("/:@") == std::string_view::npos;
}

std::string nameOf(const IndexEntry& entry) {
  const auto found = entry.descriptor.annotations.find(kNameAnnotation);
  return found == entry.descriptor.annotations.end() ? std::string() : found->second;
}

class Chooser {
 public:
  Chooser(const Index& index, const Platform& platform) : platform_(platform) {
    for (const IndexEntry& entry : index.entries) {
      const std::string name = nameOf(entry);
      digests_.insert(entry.descriptor.digest);
      (isBareTag(name) ? nameless_ : named_)[name].entries.push_back(entry);
    }
  }

  absl::StatusOr<std::vector<ImportChoice>> all() {
    if (named_.empty()) {
      return absl::InvalidArgumentError(
          strCat("no image in it has a name: give it one; it has ", offered()));
    }
    for (const auto& [name, index] : named_) BERTH_RETURN_IF_ERROR(add(index, name));
    return take();
  }

  absl::StatusOr<std::vector<ImportChoice>> only(const std::vector<std::string>& wanted,
                                                 const ShortNames& shortNames) {
    for (const std::string& text : wanted) {
      BERTH_ASSIGN_OR_RETURN(const std::vector<Reference> meant, shortNames.meant(text));
      const auto has = std::find_if(meant.begin(), meant.end(), [this](const Reference& reference) {
        return named_.contains(reference.full());
      });
      const Reference& reference = has == meant.end() ? meant.front() : *has;
      const std::string name = reference.full();
      const Index* found = find(reference);
      if (found == nullptr)
        return absl::NotFoundError(
            strCat("there is no image ", name, " in it; it has ", offered()));
      BERTH_RETURN_IF_ERROR(add(*found, name));
    }
    return take();
  }

 private:
  const Index* find(const Reference& reference) const {
    if (const auto found = named_.find(reference.full()); found != named_.end())
      return &found->second;
    if (const auto tagged = nameless_.find(reference.tag);
        tagged != nameless_.end() && !reference.tag.empty())
      return &tagged->second;
    // What it is called does not count when there is but one.
    if (digests_.size() != 1) return nullptr;
    return &(named_.empty() ? nameless_ : named_).begin()->second;
  }

  absl::Status add(const Index& index, const std::string& name) {
    plugins::Descriptor descriptor = index.entries.front().descriptor;
    if (index.entries.size() > 1) {
      auto chosen = choose(index, platform_);
      if (!chosen.ok()) return support::annotate(chosen.status(), oneLine(name, kMostShown));
      descriptor = *std::move(chosen);
    }
    const auto same = [&](const ImportChoice& choice) {
      return choice.descriptor.digest == descriptor.digest;
    };
    auto choice = std::find_if(choices_.begin(), choices_.end(), same);
    if (choice == choices_.end())
      choice = choices_.insert(choices_.end(), ImportChoice{std::move(descriptor), {}});
    choice->names.push_back(name);
    return absl::OkStatus();
  }

  std::vector<ImportChoice> take() { return std::move(choices_); }

  // For people.
  std::string offered() const {
    std::vector<std::string> names;
    for (const auto& [name, index] : named_) names.push_back(oneLine(name, kMostShown));
    for (const auto& [name, index] : nameless_) {
      for (const IndexEntry& entry : index.entries)
        names.push_back(strCat(entry.descriptor.digest, name.empty() ? "" : ", tagged ",
                               oneLine(name, kMostShown)));
    }
    return names.empty() ? "none" : absl::StrJoin(names, "; ");
  }

  const Platform& platform_;
  std::map<std::string, Index> named_;
  std::map<std::string, Index> nameless_;  // by tag, which may be empty
  std::set<std::string> digests_;
  std::vector<ImportChoice> choices_;
};

}  // namespace

absl::StatusOr<std::vector<ImportChoice>> chooseImports(const Index& index,
                                                        const std::vector<std::string>& wanted,
                                                        const Platform& platform,
                                                        const ShortNames& shortNames) {
  Chooser chooser(index, platform);
  return wanted.empty() ? chooser.all() : chooser.only(wanted, shortNames);
}

}  // namespace berth::images
