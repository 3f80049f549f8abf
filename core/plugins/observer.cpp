#include "plugins/observer.hpp"

#include <atomic>

namespace berth::plugins {

namespace {

std::atomic<Observer*>& current() {
  static std::atomic<Observer*> instance{nullptr};
  return instance;
}

}  // namespace

void setObserver(Observer* observer) {
  current().store(observer, std::memory_order_release);
}

Observer* observer() {
  return current().load(std::memory_order_acquire);
}

}  // namespace berth::plugins
