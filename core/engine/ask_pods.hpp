// What all pods are asked at once.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "engine/objects.hpp"
#include "engine/rounds.hpp"

namespace berth::engine {

struct PodAndContainers {
  std::shared_ptr<Pod> pod;
  std::vector<std::shared_ptr<Container>> containers;
};

// A list goes on without it. What ended between the list and now is unknown to its runtime.
void tellUnread(const Pod& pod, const absl::Status& status);

// See Rounds; what has failed is told. `question` gives an absl::StatusOr<Answer>.
template <class Answer, class Question>
std::vector<absl::StatusOr<Answer>> askPods(Rounds& rounds, const plugins::Operation& op,
                                            std::vector<PodAndContainers> pods, Question question) {
  std::vector<std::string> names;
  for (const PodAndContainers& one : pods) names.push_back("pod " + one.pod->id());
  const auto asked = std::make_shared<const std::vector<PodAndContainers>>(std::move(pods));
  auto answers = rounds.ask<Answer>(op, std::move(names),
                                    [asked, question](size_t i, const plugins::Operation& own) {
                                      return question((*asked)[i], own);
                                    },
                                    {});
  for (size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].ok()) tellUnread(*(*asked)[i].pod, answers[i].status());
  }
  return answers;
}

template <class Answer>
std::vector<Answer> onlyKnown(std::vector<absl::StatusOr<Answer>> answers) {
  std::vector<Answer> known;
  for (absl::StatusOr<Answer>& answer : answers) {
    if (answer.ok()) known.push_back(*std::move(answer));
  }
  return known;
}

}  // namespace berth::engine
