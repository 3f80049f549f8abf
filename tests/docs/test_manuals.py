"""The man pages: well formed, complete, their examples taken by what they are for."""

import glob
import os
import re
import subprocess

import pytest

from conftest import BUILD, PLUGINS, SOURCE, berth, options, path_of, read, subcommands

PAGES = ["docs/man/" + name for name in (
    "berth.1", "berth-plugin-check.1", "berth-plugin-new.1", "berth.toml.5", "berth-plugin.7",
    "berthd.8")]


def literals(text):
    """Displayed blocks, without roff's escapes."""
    for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL):
        yield re.sub(r"^\\&", "", block.replace("\\e", "\\"), flags=re.MULTILINE)


def test_these_are_all():
    assert sorted(glob.glob(path_of("docs/man/*"))) == sorted(path_of(page) for page in PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_well_formed(page):
    checked = subprocess.run(["mandoc", "-Tlint", "-W", "warning", path_of(page)],
                             capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("page", PAGES)
def test_pages_refer_to_pages(page):
    own = {os.path.basename(name) for name in PAGES}
    for name, section in re.findall(r"^\.Xr (\S+) (\d)", read(page), re.MULTILINE):
        if name.startswith("berth"):
            assert "%s.%s" % (name, section) in own, page


def test_every_subcommand_and_option_is_described():
    text = read("docs/man/berth.1")
    for name in subcommands():
        for command in [(name, inner) for inner in subcommands(name)] or [(name,)]:
            entry = re.search(r"^\.It Cm %s\b(.*?)(?=^\.It Cm|^\.El)" % " ".join(command), text,
                              re.MULTILINE | re.DOTALL)
            assert entry, command
            for option in options(*command) - {"--help", "--config", "--socket"}:
                assert "Fl Fl " + option[2:] in entry[1], (command, option)
    for option in ("config", "help", "socket"):
        assert "Fl Fl " + option in text


def test_every_subcommand_that_is_described_exists():
    text = read("docs/man/berth.1")
    for words in re.findall(r"^\.It Cm ([a-z ]+)", text, re.MULTILINE):
        names = words.split()
        assert names[0] in subcommands()
        assert len(names) == 1 or names[1] in subcommands(names[0])


@pytest.mark.parametrize("program,known", [("berth-plugin-check", "only"),
                                           ("berth-plugin-new", "kind")])
def test_every_option_of_the_sdks_programs_is_described(program, known):
    shown = subprocess.run([os.path.join(BUILD, "bin", program), "--help"],
                           capture_output=True, text=True, check=True).stdout
    found = set(re.findall(r"^ *(?:-\w,)?--([a-z-]+)", shown, re.MULTILINE)) - {"help"}
    described = re.findall(r"^\.It Fl Fl ([a-z-]+)", read("docs/man/%s.1" % program),
                           re.MULTILINE)
    assert sorted(found) == sorted(described) and known in found


def test_examples_of_the_configuration_are_loaded(loaded):
    found = list(literals(read("docs/man/berth.toml.5")))
    assert len(found) >= 3
    for text in found:
        loaded(text)


def test_the_example_of_a_plugin_is_built_and_loaded(tmp_path, loaded):
    sources = [text for text in literals(read("docs/man/berth-plugin.7")) if "#include" in text]
    assert len(sources) == 1
    (tmp_path / "plugin.cpp").write_text(sources[0])
    include = os.path.join(SOURCE, "sdk/include")
    subprocess.run(["c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
                    "-fvisibility=hidden", "-I", include, "-I",
                    os.path.join(SOURCE, "sdk/support/include"),
                    str(tmp_path / "plugin.cpp"), "-o", str(tmp_path / "berth-network-none.so")],
                   check=True)
    text = next(text for text in literals(read("docs/man/berth-plugin.7")) if "[networks." in text)
    shown = loaded("plugin_dirs = [\"%s\", \"%s\"]\n%s" % (PLUGINS, tmp_path, text))
    assert "[networks.none.options]\naddress = \"192.0.2.7\"" in shown
    # It reads its option.
    (tmp_path / "wrong.toml").write_text(
        "plugin_dirs = [\"%s\", \"%s\"]\n%s" % (
            PLUGINS, tmp_path, text.replace("192.0.2.7", "nowhere")))
    refused = berth("config", "check", "--config", str(tmp_path / "wrong.toml"))
    assert "networks.none.options.address: must be an IPv4 address" in refused.stderr


def completed(shell, line):
    """What `shell` offers after `line`."""
    berth = os.path.join(BUILD, "bin/berth")
    if shell == "bash":
        script = """. <("$1" completion bash)
            COMP_LINE=$2; read -ra COMP_WORDS <<< "$2"
            [[ $2 == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _berth 2> /dev/null
            printf '%s\\n' "${COMPREPLY[@]}" """
        command = ["bash", "-c", script, "bash", berth, line]
    else:
        command = ["fish", "--no-config", "-c", "$argv[1] completion fish | source; "
                   "complete -C $argv[2]", berth, line]
    made = subprocess.run(command, capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL)
    return {row.split("\t")[0] for row in made.stdout.split("\n")} - {""}


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shells_complete_what_there_is(shell):
    assert completed(shell, "berth ch") == {"check"}
    assert set(subcommands()) <= completed(shell, "berth ")
    assert set(subcommands("config")) <= completed(shell, "berth config ")
    assert completed(shell, "berth config sh") == {"show"}
    assert completed(shell, "berth check --") == options("check")
    assert completed(shell, "berth config check --") == options("config", "check")
    assert completed(shell, "berth completion ") >= {"bash", "zsh", "fish"}
    assert completed(shell, "berth plugin new --kind ") == {
        "runtime", "snapshotter", "image-source", "network"}
    assert completed(shell, "berth plugin new --kind s") == {"snapshotter"}
    # What is any word is not completed with words of others.
    assert not {"bash", "c"} & completed(shell, "berth plugin new ")
    assert set(subcommands("image")) <= completed(shell, "berth image ")
    assert completed(shell, "berth image l") == {"list"}
    assert completed(shell, "berth image export --") == options("image", "export")
    assert "--socket" in completed(shell, "berth status --")
    assert "--socket" not in completed(shell, "berth serve --")
    for before in ("berth serve --config", "berth image import", "berth config import",
                   "berth status --socket", "berth explain pod --html", "berth plugin new --sdk"):
        assert any(path.endswith("README.md") for path in completed(
            shell, "%s %s/READ" % (before, SOURCE))), before
    # What is no path is not completed as one.
    for before in ("berth image pin", "berth config check --limit", "berth image pull --platform",
                   "berth plugin new --kind network --language c name"):
        assert not any(path.endswith("README.md") for path in completed(
            shell, "%s %s/READ" % (before, SOURCE))), before


def test_zsh_reads_its_completion(tmp_path):
    script = """fpath=("$1" $fpath); autoload -U compinit; compinit -u -D
        autoload +X _berth && [[ -n $functions[_berth] ]]"""
    text = subprocess.run([os.path.join(BUILD, "bin/berth"), "completion", "zsh"], check=True,
                          capture_output=True, text=True).stdout
    (tmp_path / "_berth").write_text(text)
    made = subprocess.run(["zsh", "-f", "-c", script, "zsh", str(tmp_path)], check=False,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert made.returncode == 0, made.stderr
    assert subprocess.run(["zsh", "-n", str(tmp_path / "_berth")], check=False).returncode == 0
    for name in subcommands():
        assert "'%s:" % name in text
