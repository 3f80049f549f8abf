// A function of the ABI as frames: made from its signature, in both directions. Calls of the host
// and callbacks into it are the same thing seen from two sides.
#pragma once

#include <memory>
#include <tuple>

#include "isolation/codec.hpp"
#include "isolation/given_error.hpp"
#include "isolation/tables.hpp"

namespace berth::isolation {

// How a call ended.
enum class Outcome : uint8_t {
  kReturned = 0,
  kThrew = 1,
  kSpoilt = 2  // what it handed over by a builder or sink cannot be taken; with the reason
};

// What of the arguments goes to the other side.
template <auto Member>
void encodeArguments(Encoder& out, const ArgumentsOf<Member>& arguments) {
  forEachArgument<Member>([&](auto index) {
    constexpr size_t I = index;
    constexpr Role role = roleOf<Member, I>();
    const auto& argument = std::get<I>(arguments);
    if constexpr (role == Role::kValue) {
      encode(out, argument);
    } else if constexpr (role == Role::kStruct) {
      encodePointer(out, argument);
    } else if constexpr (role == Role::kLender) {
      encodePointer(out, argument);
      out.raw(static_cast<uint8_t>(detail::known(argument).credentials != nullptr));
    } else if constexpr (role == Role::kArray) {
      const size_t count = std::get<I + 1>(arguments);
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(argument)>, const void*>) {
        demandArray(argument, count > 0 ? 1 : 0, sizeof(size_t));
        encode(out, berth_bytes{argument, count});
      } else {
        encodeArray(out, argument, count);
      }
    } else if constexpr (role == Role::kDescriptor) {
      out.descriptor(argument);
    } else if constexpr (role == Role::kPiece) {
      demandPiece(argument);
    } else if constexpr (role == Role::kOp) {
      out.raw(static_cast<uint8_t>(argument != nullptr));
      if (argument != nullptr) out.raw(detail::known(argument).deadline);
    } else if constexpr (role == Role::kReceiver && I > 0) {
      using T = std::remove_pointer_t<std::remove_cvref_t<decltype(argument)>>;
      const T known = detail::known(argument);
      std::apply([&](auto... members) { (encodeMember(out, known, members), ...); },
                 Functions<T>::data());
    }
  });
}

// Takes what came back: fills what the caller gave to be filled. Texts in it are views of the
// frame.
template <auto Member>
ResultOf<Member> decodeResults(Decoder& in, const ArgumentsOf<Member>& arguments) {
  using Result = ResultOf<Member>;
  std::conditional_t<std::is_void_v<Result>, char, Result> result{};
  if constexpr (!std::is_void_v<Result>) result = in.raw<Result>();
  support::Fd descriptor;
  int32_t* wanted = nullptr;
  forEachArgument<Member>([&](auto index) {
    constexpr size_t I = index;
    constexpr Role role = roleOf<Member, I>();
    const auto& argument = std::get<I>(arguments);
    if constexpr (role == Role::kError) {
      const std::string_view message = in.text();
      if constexpr (std::is_same_v<Result, berth_code>) {
        if (in.ok() && result != BERTH_OK) berth_fail(argument, result, str(message));
      }
    } else if constexpr (role == Role::kResult) {
      std::remove_pointer_t<std::remove_cvref_t<decltype(argument)>> value;
      decode(in, value);
      if (in.ok()) detail::give(argument, value);
    } else if constexpr (role == Role::kNumber) {
      const auto value = in.raw<int32_t>();
      if (argument != nullptr) *argument = value;
    } else if constexpr (role == Role::kPiece) {
      decode(in, *argument);
    } else if constexpr (role == Role::kNewDescriptor) {
      descriptor = in.takeDescriptor();
      wanted = argument;
    }
  });
  // Closed again where the rest of the frame is not what it should be, and with a failure.
  bool failed = !in.finished();
  if constexpr (std::is_same_v<Result, berth_code>) failed = failed || result != BERTH_OK;
  if (wanted != nullptr && !failed) *wanted = descriptor.release();
  if constexpr (!std::is_void_v<Result>) return result;
}

// Which functions a table has, and what else is in it.
template <Table T>
void encodeTable(Encoder& out, const T& table) {
  uint64_t present = 0;
  size_t place = 0;
  const auto mark = [&]<auto Member>(Function<Member>) {
    if (table.*Member != nullptr) present |= uint64_t{1} << place;
    ++place;
  };
  std::apply([&](auto... functions) { (mark(functions), ...); }, Functions<T>::list());
  out.raw(present);
  std::apply([&](auto... members) { (encodeMember(out, table, members), ...); },
             Functions<T>::data());
}

// Where a served call finds what stands for the caller's own: its operation and its receivers.
struct NoCaller {};

// What an argument that is not in the frame itself is kept in while the call lasts.
struct Nothing {};
template <class Caller>
class HeldOp;
template <class T, class Caller>
class HeldReceiver;
template <class Caller>
class HeldLender;
template <Role role, class P, class Caller>
constexpr auto heldFor() {
  using T = std::remove_const_t<std::remove_pointer_t<P>>;
  if constexpr (role == Role::kResult || role == Role::kPiece) {
    return std::type_identity<T>();
  } else if constexpr (role == Role::kNumber || role == Role::kNewDescriptor) {
    return std::type_identity<int32_t>();
  } else if constexpr (role == Role::kError) {
    return std::type_identity<GivenError>();
  } else if constexpr (role == Role::kOp) {
    return std::type_identity<HeldOp<Caller>>();
  } else if constexpr (role == Role::kLender) {
    return std::type_identity<HeldLender<Caller>>();
  } else if constexpr (role == Role::kReceiver && !std::is_same_v<Caller, NoCaller>) {
    return std::type_identity<HeldReceiver<T, Caller>>();
  } else {
    return std::type_identity<Nothing>();
  }
}

// A call that came as a frame: its arguments, and what it leaves.
template <auto Member, class Caller>
class Served {
 public:
  using Arguments = ArgumentsOf<Member>;

  // `self` is the first argument. The decoder and its frame outlive this.
  Served(void* self, Decoder& in, Caller& caller) {
    forEachArgument<Member>([&](auto index) { take<index>(self, in, caller); });
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  template <class F>
  void run(F function, Encoder& out) {
    using Result = ResultOf<Member>;
    std::conditional_t<std::is_void_v<Result>, char, Result> result{};
    if constexpr (std::is_void_v<Result>) {
      std::apply(function, arguments_);
    } else {
      result = std::apply(function, arguments_);
      out.raw(result);
    }
    forEachArgument<Member>([&](auto index) { give<index>(out, result); });
  }

 private:
  template <size_t I>
  void take(void* self, Decoder& in, Caller& caller) {
    using P = std::tuple_element_t<I, Arguments>;
    constexpr Role role = roleOf<Member, I>();
    P& argument = std::get<I>(arguments_);
    auto& held = std::get<I>(held_);
    if constexpr (I == 0) {
      argument = static_cast<P>(self);
    } else if constexpr (role == Role::kValue) {
      decode(in, argument);
    } else if constexpr (role == Role::kStruct) {
      decodePointer(in, argument);
    } else if constexpr (role == Role::kArray) {
      if constexpr (std::is_same_v<P, const void*>) {
        berth_bytes bytes;
        decode(in, bytes);
        argument = bytes.data;
        std::get<I + 1>(arguments_) = bytes.size;
      } else {
        decodeArray(in, argument, std::get<I + 1>(arguments_));
      }
    } else if constexpr (role == Role::kDescriptor) {
      argument = in.descriptor();
    } else if constexpr (role == Role::kOp) {
      argument = held.take(in, caller);
    } else if constexpr (role == Role::kReceiver || role == Role::kLender) {
      argument = held.take(static_cast<uint8_t>(I), in, caller);
    } else if constexpr (role == Role::kError) {
      argument = held.get();
    } else if constexpr (role != Role::kCount) {
      std::memset(static_cast<void*>(&held), 0, sizeof held);
      if constexpr (role == Role::kResult) held.size = sizeof held;
      if constexpr (role == Role::kNewDescriptor) held = -1;
      argument = &held;
    }
  }
  template <size_t I, class Result>
  void give(Encoder& out, const Result& result) {
    constexpr Role role = roleOf<Member, I>();
    auto& held = std::get<I>(held_);
    if constexpr (role == Role::kError) {
      berth_code code = BERTH_OK;
      if constexpr (std::is_same_v<ResultOf<Member>, berth_code>) code = result;
      out.text(held.status(code).message());
    } else if constexpr (role == Role::kResult || role == Role::kNumber || role == Role::kPiece) {
      encode(out, held);
    } else if constexpr (role == Role::kNewDescriptor) {
      out.descriptor(support::Fd(held));
    }
  }

  template <size_t... I>
  static auto heldBy(std::index_sequence<I...> /*indexes*/) -> std::tuple<
      typename decltype(heldFor<roleOf<Member, I>(), std::tuple_element_t<I, Arguments>,
                                Caller>())::type...>;

  Arguments arguments_{};
  decltype(heldBy(kIndexes<Member>)) held_;
};

}  // namespace berth::isolation
