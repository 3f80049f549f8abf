// What is told of images while they come and go.
#include <atomic>
#include <set>

#include "image_service_fixture.hpp"

namespace berth::images {
namespace {

class ImageConsistencyTest : public testing::ImageServiceTest {
 protected:
  // A list names each image and each tag once, and what it names is what it is found by.
  void look() const {
    std::set<std::string> ids;
    std::set<std::string> tags;
    for (const auto& image : images_->list()) {
      EXPECT_TRUE(ids.insert(image->id).second) << image->id;
      EXPECT_FALSE(image->repoTags.empty());
      EXPECT_EQ(image->layers.size(), 2u);
      for (const std::string& tag : image->repoTags) EXPECT_TRUE(tags.insert(tag).second) << tag;
    }
    for (const char* name : {"a.example/app:1", "a.example/app:2", "a.example/other:1"}) {
      const auto found = images_->find(name);
      if (!found.ok()) {
        EXPECT_TRUE(absl::IsNotFound(found.status())) << found.status();
        continue;
      }
      const std::vector<std::string>& own = (*found)->repoTags;
      EXPECT_NE(std::find(own.begin(), own.end(), name), own.end()) << name;
    }
  }
};

TEST_F(ImageConsistencyTest, HoldsWhileTheyArePulledAndRemoved) {
  const std::string three = testing::noise(4'000, 3);
  // Two names of one image, and one that shares a layer with it.
  for (const char* name : {"app:1", "app:2"})
    publish(name, {one_, two_}, {testing::gzip(one_), testing::gzip(two_)});
  publish("other:1", {two_, three}, {testing::gzip(two_), testing::zstd(three)});
  std::atomic<int> atWork = 3;
  std::vector<std::thread> threads;
  for (const std::string name : {"app:1", "app:2", "other:1"}) {
    threads.emplace_back([this, name, &atWork] {
      for (int i = 0; i < 30; ++i) {
        const auto pulled = pull(name);
        EXPECT_TRUE(pulled.ok()) << pulled.status();
        if (pulled.ok()) {
          const auto content = images_->content(**pulled);
          EXPECT_TRUE(content.ok() || absl::IsNotFound(content.status())) << content.status();
        }
        EXPECT_TRUE(images_->remove(op_, "a.example/" + name).ok());
      }
      --atWork;
    });
  }
  threads.emplace_back([this, &atWork] {
    while (atWork > 0) look();
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(images_->list().empty());
  awaitNoLayers();
  open();
  EXPECT_TRUE(images_->list().empty());
}

}  // namespace
}  // namespace berth::images
