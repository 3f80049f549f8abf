#include "main/folder_ties.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

#include <boost/json.hpp>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "common/boot_id.hpp"

namespace berth::program {

using support::strCat;

namespace {

namespace json = boost::json;

struct Tie {
  bool isThere = false;  // readable or not
  std::string identity;  // of the root
  std::string boot;      // in a state
  std::string other;     // the folder that belongs to it
};

std::string fileIn(const std::string& folder) {
  return strCat(folder, "/identity.json");
}

// One that is damaged says nothing, and keeps nobody from starting.
Tie readTie(const std::string& folder) {
  const auto text = support::readFile(fileIn(folder));
  Tie tie;
  tie.isThere = !absl::IsNotFound(text.status());
  if (!text.ok()) return tie;
  const auto object = support::parseJsonObject(*text, fileIn(folder));
  if (!object.ok()) return tie;
  tie.identity = support::stringMember(*object, "identity");
  tie.boot = support::stringMember(*object, "boot");
  tie.other = support::stringMember(*object, "folder");
  return tie;
}

absl::Status writeTie(const std::string& folder, const json::object& tie) {
  const std::string text = json::serialize(tie) + "\n";
  if (support::readFile(fileIn(folder)).value_or("") == text) return absl::OkStatus();
  // What is left of one that was cut off.
  BERTH_RETURN_IF_ERROR(support::removeTemporaries(folder));
  return support::replaceFile(fileIn(folder), text, 0600, support::Durability::kDurable);
}

// Each has a folder from before anything of it is made until all of it is gone.
bool hasPods(const std::string& state) {
  const auto names = support::listDirectory(strCat(state, "/pods"));
  return names.ok() && !names->empty();
}

bool isSameFolder(const std::string& one, const std::string& other) {
  std::error_code ignored;
  return one == other || std::filesystem::equivalent(one, other, ignored);
}

}  // namespace

absl::Status refusePodsOfAnotherRoot(const std::string& root, const std::string& state) {
  const Tie tie = readTie(state);
  if (tie.identity.empty() || tie.boot != common::bootId() || !hasPods(state))
    return absl::OkStatus();
  const Tie own = readTie(root);
  const bool isDamaged = own.isThere && own.identity.empty();
  if (isDamaged || own.identity == tie.identity) return absl::OkStatus();
  return absl::FailedPreconditionError(strCat(
      "the pods in ", state, " are not those of ", root, " but of what was ", tie.other,
      " when they were started: set root back, or mount its disk, and remove them first; if that "
      "root is lost, remove ",
      fileIn(state), ", and the start ends what ", root, " has no record of"));
}

absl::Status refusePodsInAnotherState(const std::string& root, const std::string& state) {
  const Tie own = readTie(root);
  if (own.identity.empty() || own.other.empty() || isSameFolder(own.other, state))
    return absl::OkStatus();
  const Tie tie = readTie(own.other);
  if (tie.identity != own.identity || tie.boot != common::bootId() || !hasPods(own.other))
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      strCat("the pods of ", root, " are in ", own.other,
             ", where nobody would find them: set state back, and remove them first"));
}

absl::Status tieFolders(const std::string& root, const std::string& state) {
  const Tie own = readTie(root);
  std::string identity = own.identity;
  // Damaged: what it was its state may still say.
  if (identity.empty() && own.isThere) identity = readTie(state).identity;
  if (identity.empty()) identity = support::randomId();
  // What another root has left there goes before anything can fail.
  if (readTie(state).identity != identity)
    BERTH_RETURN_IF_ERROR(support::removePath(fileIn(state)));
  // The root first: a state without a root's name is anybody's, and one with the name of a root
  // that has none would be nobody's.
  const std::pair<std::string, json::object> ties[] = {
      {root, {{"identity", identity}, {"folder", state}}},
      {state, {{"identity", identity}, {"folder", root}, {"boot", common::bootId()}}}};
  for (const auto& [folder, tie] : ties) BERTH_RETURN_IF_ERROR(writeTie(folder, tie));
  return absl::OkStatus();
}

}  // namespace berth::program
