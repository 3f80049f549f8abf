#include "attempts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::registry {
namespace {

Failure failed(absl::StatusCode code, const char* where) {
  return {.status = absl::Status(code, "reason"), .where = where};
}

using absl::StatusCode;

TEST(Attempts, TheRegistrysOwnAnswerDecides) {
  Attempts attempts;
  attempts.add(EndpointRole::kMirror, failed(StatusCode::kUnavailable, "http://m/v2/a"));
  attempts.add(EndpointRole::kRegistry, failed(StatusCode::kNotFound, "https://r/v2/a"));
  attempts.add(EndpointRole::kMirror, failed(StatusCode::kUnavailable, "http://dead/v2/a"));
  const absl::Status status = attempts.summary("resolve r/a:1");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(std::string(status.message()),
            "resolve r/a:1: not found (tried http://m/v2/a: reason; https://r/v2/a: reason; "
            "http://dead/v2/a: reason)");
}

TEST(Attempts, WithoutItWhatMayPassOutweighs) {
  Attempts attempts;
  attempts.add(EndpointRole::kMirror, failed(StatusCode::kUnavailable, "http://m/v2/a"));
  attempts.add(EndpointRole::kMirror, failed(StatusCode::kNotFound, "http://n/v2/a"));
  EXPECT_EQ(attempts.summary("x").code(), StatusCode::kUnavailable);
}

TEST(Attempts, WhereTheRegistryIsAwayAMirrorsObjectionTellsMore) {
  Attempts attempts;
  attempts.add(EndpointRole::kMirror, failed(StatusCode::kUnauthenticated, "http://m/v2/a"));
  Failure away = failed(StatusCode::kUnavailable, "https://r/v2/a");
  away.unreachable = true;
  attempts.add(EndpointRole::kRegistry, away);
  EXPECT_EQ(attempts.summary("x").code(), StatusCode::kUnauthenticated);
}

TEST(Attempts, StayBounded) {
  Attempts attempts;
  for (int i = 0; i < 1000; ++i)
    attempts.add(EndpointRole::kMirror,
                 failed(StatusCode::kUnavailable, i % 2 == 0 ? "http://m/1" : "http://m/2"));
  EXPECT_LT(attempts.summary("x").message().size(), 2'000u);
  EXPECT_THAT(std::string(attempts.summary("x").message()), testing::HasSubstr("984 earlier"));
}

TEST(FailureOf, HidesQueriesAndListsErrors) {
  HttpAnswer answer;
  answer.head.status = 404;
  answer.body = R"({"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]})";
  const Failure failure = failureOf(answer, *parseUrl("https://r.example/v2/a?token=secret"));
  EXPECT_EQ(failure.where, "https://r.example/v2/a");
  EXPECT_EQ(failure.status.code(), StatusCode::kNotFound);
  EXPECT_EQ(failure.status.message(),
            "HTTP 404 Not Found: NAME_UNKNOWN: repository name not known");
  EXPECT_EQ(failure.remedy, Remedy::kNextServer);
}

TEST(FailureOf, Remedies) {
  HttpAnswer answer;
  answer.head.status = 429;
  answer.head.retryAfter = "7";
  const Url url = *parseUrl("https://r.example/");
  EXPECT_EQ(failureOf(answer, url).remedy, Remedy::kRepeat);
  EXPECT_EQ(failureOf(answer, url).retryAfter, std::chrono::seconds(7));
  answer.head.status = 200;
  EXPECT_TRUE(failureOf(answer, url).ok());
  answer.failure = HttpFailure::kUnreachable;
  answer.status = absl::UnavailableError("no");
  EXPECT_TRUE(failureOf(answer, url).unreachable);
  answer.failure = HttpFailure::kEnded;
  EXPECT_EQ(failureOf(answer, url).remedy, Remedy::kStop);
}

}  // namespace
}  // namespace berth::registry
