// What a plugin's process says of the plugin, and what it is told at first.
#pragma once

#include <string>

#include "isolation/codec.hpp"

namespace berth::isolation {

// berth_plugin without its functions.
struct Description {
  uint32_t abiMajor = 0, abiMinor = 0, requiredMinor = 0;
  berth_threading threading = 0;
  std::string name, version, summary, interfaceId, options;
  bool extends = false;   // has get_extension
  bool examines = false;  // has examine

  // Whether the host would treat both alike.
  bool isLike(const Description& other) const {
    return name == other.name && interfaceId == other.interfaceId && options == other.options &&
           threading == other.threading && examines == other.examines && extends == other.extends;
  }
};

inline void encode(Encoder& out, const Description& from) {
  out.raw(from.abiMajor);
  out.raw(from.abiMinor);
  out.raw(from.requiredMinor);
  out.raw(from.threading);
  for (const std::string* text :
       {&from.name, &from.version, &from.summary, &from.interfaceId, &from.options})
    out.text(*text);
  out.raw(from.extends);
  out.raw(from.examines);
}

inline void decode(Decoder& in, Description& to) {
  to.abiMajor = in.raw<uint32_t>();
  to.abiMinor = in.raw<uint32_t>();
  to.requiredMinor = in.raw<uint32_t>();
  to.threading = in.raw<berth_threading>();
  for (std::string* text : {&to.name, &to.version, &to.summary, &to.interfaceId, &to.options})
    *text = in.text();
  to.extends = in.raw<uint8_t>() != 0;
  to.examines = in.raw<uint8_t>() != 0;
}

// The descriptor on which the process finds its control channel.
inline constexpr int kControlDescriptor = 3;
// Channels of the plugin's calls into the host: no more of those are made at once.
inline constexpr size_t kHostChannels = 4;

// The first frame. Its descriptors are the plugin's file, if there is one, and the host channels.
struct LoadRequest {
  std::string hostVersion;  // both are of one build, or say so
  std::string interfaceId;
  std::string path;
  uint64_t capabilities = 0;  // to be kept at most
  // Those of one instance that may run at one time differ in this. The process waits for the end of
  // the last one in its place, and the daemon's first one for that of all.
  uint32_t place = 0;
  bool again = false;  // in this daemon's life
};

inline void encode(Encoder& out, const LoadRequest& from) {
  out.text(from.hostVersion);
  out.text(from.interfaceId);
  out.text(from.path);
  out.raw(from.capabilities);
  out.raw(from.place);
  out.raw(from.again);
}

inline void decode(Decoder& in, LoadRequest& to) {
  to.hostVersion = in.text();
  to.interfaceId = in.text();
  to.path = in.text();
  to.capabilities = in.raw<uint64_t>();
  to.place = in.raw<uint32_t>();
  to.again = in.raw<uint8_t>() != 0;
}

}  // namespace berth::isolation
