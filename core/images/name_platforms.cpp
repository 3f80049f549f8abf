#include "images/name_platforms.hpp"

#include <algorithm>

namespace berth::images {

namespace {

using Platforms = std::vector<std::string>;

template <class Values>
bool has(const Values& values, const std::string& one) {
  return std::find(values.begin(), values.end(), one) != values.end();
}

}  // namespace

std::vector<std::string> platformsOf(const Image& image, const std::string& name) {
  const auto found = image.platforms.find(name);
  return found == image.platforms.end() ? Platforms{""} : found->second;
}

std::vector<std::string> platformsOf(const records::ImageRecord& record, const std::string& name) {
  const auto found = record.platforms().find(name);
  if (found == record.platforms().end() || found->second.platforms().empty()) return {""};
  return {found->second.platforms().begin(), found->second.platforms().end()};
}

bool isFor(const Image& image, const std::string& platform) {
  const auto means = [&](const std::string& name) {
    return has(platformsOf(image, name), platform);
  };
  return (image.repoTags.empty() && image.repoDigests.empty()) ||
         std::any_of(image.repoTags.begin(), image.repoTags.end(), means) ||
         std::any_of(image.repoDigests.begin(), image.repoDigests.end(), means);
}

void setPlatforms(const std::string& name, const std::vector<std::string>& platforms,
                  records::ImageRecord& record) {
  if (platforms == Platforms{""}) {
    record.mutable_platforms()->erase(name);
    return;
  }
  records::PlatformsRecord& kept = (*record.mutable_platforms())[name];
  kept.mutable_platforms()->Assign(platforms.begin(), platforms.end());
}

void setPlatform(const std::string& platform, records::ImageRecord& record) {
  for (const std::string& tag : record.tags()) setPlatforms(tag, {platform}, record);
  for (const std::string& digest : record.digests()) setPlatforms(digest, {platform}, record);
}

void mergePlatforms(const records::ImageRecord& old, records::ImageRecord& record) {
  const auto merge = [&](const std::string& name, bool isNew) {
    Platforms merged = platformsOf(old, name);
    const Platforms added = isNew ? platformsOf(record, name) : Platforms();
    for (const std::string& one : added)
      if (!has(merged, one)) merged.push_back(one);
    setPlatforms(name, merged, record);
  };
  for (const std::string& tag : old.tags()) merge(tag, has(record.tags(), tag));
  for (const std::string& digest : old.digests()) merge(digest, has(record.digests(), digest));
}

void loseTags(const records::ImageRecord& taker, records::ImageRecord& record) {
  for (const std::string& tag : taker.tags()) {
    if (!has(record.tags(), tag)) continue;
    Platforms rest = platformsOf(record, tag);
    const Platforms taken = platformsOf(taker, tag);
    std::erase_if(rest, [&](const std::string& one) { return has(taken, one); });
    if (rest.empty()) {
      record.mutable_tags()->erase(std::find(record.tags().begin(), record.tags().end(), tag));
      rest = {""};  // nothing is kept of a name that is not there
    }
    setPlatforms(tag, rest, record);
  }
}

}  // namespace berth::images
