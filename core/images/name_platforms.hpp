// For which platforms an image's names mean it: an index has another image for each.
//
// A platform is "" for that of Options, and stands as text otherwise.
#pragma once

#include <string>
#include <vector>

#include "images/image.hpp"
#include "records.pb.h"

namespace berth::images {

// Of one of its tags or digests.
std::vector<std::string> platformsOf(const Image& image, const std::string& name);
std::vector<std::string> platformsOf(const records::ImageRecord& record, const std::string& name);

// Whether one of its names means it for this platform. One that has lost all its names is for any.
bool isFor(const Image& image, const std::string& platform);

// Has all names that the record has mean it for this platform alone.
void setPlatform(const std::string& platform, records::ImageRecord& record);
void setPlatforms(const std::string& name, const std::vector<std::string>& platforms,
                  records::ImageRecord& record);
// Adds to those of the record's names what `old` has of the same names.
void mergePlatforms(const records::ImageRecord& old, records::ImageRecord& record);
// Takes the tags of `taker` from `record`, for the platforms that it has them for.
void loseTags(const records::ImageRecord& taker, records::ImageRecord& record);

}  // namespace berth::images
