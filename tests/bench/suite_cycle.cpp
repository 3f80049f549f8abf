// The whole life of a pod, call by call, with the bare programs as one more subject.
#include <array>
#include <optional>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

constexpr char kMilliseconds[] = "ms";

enum class Call {
  kRunPod,
  kCreateContainer,
  kStartContainer,
  kExec,
  kStopContainer,
  kRemoveContainer,
  kStopPod,
  kRemovePod,
};

constexpr std::array<absl::string_view, 8> kCallNames{
    "RunPodSandbox", "CreateContainer", "StartContainer", "ExecSync true",
    "StopContainer", "RemoveContainer", "StopPodSandbox", "RemovePodSandbox"};

enum class Outcome { kDone, kNothingToDo };

// What goes through the cycle. perform() is what is timed.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual std::string name() const = 0;
  virtual absl::Status prepare(PodNetwork network) = 0;
  virtual absl::StatusOr<Outcome> perform(Call call) = 0;
  // After the cycle, whether it was completed or not.
  virtual absl::Status finish() = 0;
};

class EngineSubject : public Subject {
 public:
  explicit EngineSubject(Engine& engine) : engine_(engine) {}

  std::string name() const override { return engine_.name(); }

  absl::Status prepare(PodNetwork network) override {
    spec_ = engine_.podSpec(network);
    complete_ = false;
    return absl::OkStatus();
  }

  absl::StatusOr<Outcome> perform(Call call) override {
    BERTH_RETURN_IF_ERROR(performCall(call));
    complete_ = call == Call::kRemovePod;
    return Outcome::kDone;
  }

  absl::Status finish() override { return complete_ ? absl::OkStatus() : engine_.removePods(); }

 private:
  absl::Status performCall(Call call) {
    CriClient& client = engine_.client();
    switch (call) {
      case Call::kRunPod: {
        BERTH_ASSIGN_OR_RETURN(pod_, client.runPod(spec_));
        return absl::OkStatus();
      }
      case Call::kCreateContainer: {
        BERTH_ASSIGN_OR_RETURN(container_, client.createContainer(spec_, pod_));
        return absl::OkStatus();
      }
      case Call::kStartContainer:
        return client.startContainer(container_);
      case Call::kExec:
        return client.execSync(container_, {"/bin/true"});
      case Call::kStopContainer:
        return client.stopContainer(container_, std::chrono::seconds(0));
      case Call::kRemoveContainer:
        return client.removeContainer(container_);
      case Call::kStopPod:
        return client.stopPod(pod_);
      case Call::kRemovePod:
        return client.removePod(pod_);
    }
    return absl::InternalError("no such call");
  }

  Engine& engine_;
  PodSpec spec_;
  std::string pod_;
  std::string container_;
  bool complete_ = true;
};

class BareSubject : public Subject {
 public:
  explicit BareSubject(BarePrograms& programs) : programs_(programs) {}

  std::string name() const override { return kBare; }

  absl::Status prepare(PodNetwork network) override {
    network_ = network;
    BERTH_ASSIGN_OR_RETURN(pod_, BarePod::prepare(programs_, network));
    return absl::OkStatus();
  }

  absl::StatusOr<Outcome> perform(Call call) override {
    const bool networkCall = call == Call::kRunPod || call == Call::kStopPod;
    if (call == Call::kRemovePod || (networkCall && network_ == PodNetwork::kHost)) {
      return Outcome::kNothingToDo;
    }
    BERTH_RETURN_IF_ERROR(performCall(call));
    return Outcome::kDone;
  }

  absl::Status finish() override { return pod_->reset(); }

 private:
  absl::Status performCall(Call call) {
    switch (call) {
      case Call::kRunPod:
        return pod_->addNetwork();
      case Call::kCreateContainer:
        return pod_->createContainer();
      case Call::kStartContainer:
        return pod_->startContainer();
      case Call::kExec:
        return pod_->exec({"/bin/true"});
      case Call::kStopContainer:
        return pod_->kill();
      case Call::kRemoveContainer:
        return pod_->deleteContainer();
      case Call::kStopPod:
        return pod_->deleteNetwork();
      case Call::kRemovePod:
        break;
    }
    return absl::OkStatus();
  }

  BarePrograms& programs_;
  std::unique_ptr<BarePod> pod_;
  PodNetwork network_ = PodNetwork::kCni;
};

// One cycle's times; none where the subject had nothing to do.
using Cycle = std::array<std::optional<double>, kCallNames.size()>;

absl::StatusOr<Cycle> timeCalls(Subject& subject) {
  Cycle cycle;
  for (size_t i = 0; i < cycle.size(); ++i) {
    const Clock::time_point begin = Clock::now();
    const auto outcome = subject.perform(static_cast<Call>(i));
    const Clock::time_point end = Clock::now();
    if (!outcome.ok()) return outcome.status();
    if (*outcome == Outcome::kDone) cycle[i] = milliseconds(end - begin);
  }
  return cycle;
}

absl::StatusOr<Cycle> runOne(Subject& subject, PodNetwork network) {
  BERTH_RETURN_IF_ERROR(subject.prepare(network));
  absl::StatusOr<Cycle> cycle = timeCalls(subject);
  absl::Status finished = subject.finish();
  if (cycle.ok() && !finished.ok()) return finished;
  return cycle;
}

double sumOf(const Cycle& cycle, Call last) {
  double sum = 0;
  for (size_t i = 0; i <= static_cast<size_t>(last); ++i) sum += cycle[i].value_or(0);
  return sum;
}

void record(Section& section, const std::string& subject, const Cycle& cycle) {
  for (size_t i = 0; i < cycle.size(); ++i) {
    if (cycle[i].has_value()) section.add(kCallNames[i], kMilliseconds, subject, *cycle[i]);
  }
}

void recordSums(Section& section, const std::string& subject, const Cycle& cycle) {
  section.add("sum", kMilliseconds, subject, sumOf(cycle, Call::kRemovePod));
  section.add("pod to running", kMilliseconds, subject, sumOf(cycle, Call::kStartContainer));
}

// What each engine took beyond the bare programs of the same round.
void recordAdded(Section& section, const std::string& subject, const Cycle& cycle,
                 const Cycle& bare) {
  section.add("pod to running, added to bare", kMilliseconds, subject,
              sumOf(cycle, Call::kStartContainer) - sumOf(bare, Call::kStartContainer));
}

// A round's cycles, by subject.
using Round = std::vector<std::pair<std::string, Cycle>>;

void recordRound(Section& section, const Round& round) {
  for (const auto& [subject, cycle] : round) record(section, subject, cycle);
  for (const auto& [subject, cycle] : round) recordSums(section, subject, cycle);
  if (round.empty() || round.back().first != kBare) return;
  for (const auto& [subject, cycle] : round) {
    if (subject != kBare) recordAdded(section, subject, cycle, round.back().second);
  }
}

}  // namespace

absl::Status runCycle(Bench& bench, PodNetwork network) {
  const bool host = network == PodNetwork::kHost;
  const std::string suite = host ? "hostnet" : "cycle";
  bench.progress(absl::StrCat(suite, ": ", bench.options.rounds, " rounds"));
  std::vector<std::unique_ptr<Subject>> subjects;
  for (const auto& engine : bench.engines) {
    subjects.push_back(std::make_unique<EngineSubject>(*engine));
  }
  if (bench.bare != nullptr) subjects.push_back(std::make_unique<BareSubject>(*bench.bare));
  Section section(suite, host ? "Pod cycle, host network" : "Pod cycle, CNI");
  for (int number = -bench.options.warmup; number < bench.options.rounds; ++number) {
    Round round;
    for (std::unique_ptr<Subject>& subject : subjects) {
      BERTH_RETURN_IF_ERROR(bench.interrupt.status());
      const auto cycle = runOne(*subject, network);
      if (cycle.ok()) {
        round.emplace_back(subject->name(), *cycle);
        continue;
      }
      BERTH_RETURN_IF_ERROR(bench.fail(suite, subject->name(), cycle.status()));
      subject = nullptr;
    }
    std::erase(subjects, nullptr);
    if (number >= 0) recordRound(section, round);
  }
  section.note(absl::StrCat(bench.options.rounds, " rounds after ", bench.options.warmup,
                            " uncounted, all subjects in turn within each; the sum is each ",
                            "round's own. StopContainer has no grace period."));
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
