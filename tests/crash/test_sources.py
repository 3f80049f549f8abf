"""What the sources are searched for is found, in whatever form it is written."""

import os
import sys

import pytest

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

import sources  # noqa: E402  (needs the path above)

PLANTED = {
    "  unlink(p);": "unlink",
    "  ::unlink(p);": "unlink",
    "  if (ok) { unlink(p); }": "unlink",
    "  if (!ok) done(); else unlink(p);": "unlink",
    "  do unlink(p); while (again());": "unlink",
    "  return unlink(p) == 0;": "unlink",
    "  return ::unlink(p) == 0;": "unlink",
    "  if (ready && ::rename(a, b) != 0) fail();": "rename",
    "  (void)std::rename(a, b);": "rename",
    "  const int made = wanted ? mkdir(p, 0700) : 0;": "mkdir",
    "  for (const auto& p : paths) rmdir(p.c_str());": "rmdir",
    "  const auto remove = &::unlink;": "unlink",
    "  support::Deferred undo(std::bind(::unlink, p));": "unlink",
    "  /* first */ unlink(p);": "unlink",
    "  if (c == '\"') unlink(p);  // \"": "unlink",
    "  fs::remove_all(p);": "fs::remove_all",
    "  std::filesystem::create_directories(p);": "std::filesystem::create_directories",
    "  remove_all(p);": "remove_all",
    "  std::filesystem::rename(a, b);": "filesystem::rename",
    "namespace files = std::filesystem;": "namespace files = std::filesystem",
    "using namespace std::filesystem;": "using namespace std::filesystem",
    "  Fd file(creat(p, 0600));": "creat",
    "  Fd file(::open(p, O_WRONLY | O_CREAT, 0600));": "O_CREAT",
    "  std::ofstream stream(p);": "ofstream",
    "  if (unshare(CLONE_NEWNET) != 0) fail();": "unshare",
    "  if (::fsetxattr(fd, n, v, s, 0) != 0) fail();": "fsetxattr",
    "  const auto set = follow ? &::setxattr : nullptr;": "setxattr",
    "  while (ftruncate(fd, 0) != 0) again();": "ftruncate",
    "  Fd tree(::open_tree(AT_FDCWD, p, OPEN_TREE_CLONE));": "open_tree",
    "  syscall(SYS_unshare, CLONE_NEWNS);": "SYS_unshare",
    "  syscall(SYS_setxattr, p, n, v, s, 0);": "SYS_setxattr",
}
HARMLESS = (
    "  steps::unlink(p);",
    "  if (support::steps::rename(a, b) != 0) fail();",
    "  store.link(a);",
    "  store->mount(a);",
    "absl::Status link(const std::string& path);",
    "absl::StatusOr<Fd> mount(const Plan& plan);",
    "  Mount* mount(const Plan& plan);",
    "  const Fd mount(openMount());",
    "  Overlay::mount(plan);",
    "  // unlink(p);",
    "  /* unlink(p); */",
    '  fail("unlink(p)");',
    "  const mode_t mask = unlinked(p);",
    "  names.rename(a, b);",
    "  BERTH_ASSIGN_OR_RETURN(Fd file, support::openFile(p, O_RDWR | O_CREAT, 0600));",
)


@pytest.mark.parametrize("line", PLANTED)
def test_planted_call_is_found(line):
    assert [name for _, name in sources.direct_calls([line])] == [PLANTED[line]]


@pytest.mark.parametrize("line", HARMLESS)
def test_what_makes_nothing_is_none(line):
    assert sources.direct_calls([line]) == []


def test_long_comment_is_none():
    lines = ["/* as in", "  unlink(p);", "*/ rmdir(p);"]
    assert sources.direct_calls(lines) == [(3, "rmdir")]


def test_every_durable_call_is_told_of():
    assert sources.problems() == []


def test_planted_call_is_a_problem(monkeypatch):
    path = "core/engine/volumes/image_defined.cpp"
    lines_of = sources.lines_of
    monkeypatch.setattr(sources, "lines_of", lambda name: lines_of(name) + (
        ["  if (left) { unlink(p); }"] if name == path else []))
    found, = sources.problems()
    assert found.startswith(path) and "unlink() is not told of" in found


def test_permission_for_what_is_not_there_is_a_problem(monkeypatch):
    monkeypatch.setitem(sources.SILENT, "core/store/verify.cpp", ({"sqlite3_exec", "fork"}, "?"))
    assert sources.problems() == ["core/store/verify.cpp: fork is allowed and not there"]
