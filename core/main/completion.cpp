#include "main/completion.hpp"

#include <utility>

#include "berth/support/status.hpp"

namespace berth::program {

namespace {

using support::strCat;

struct Word {
  std::string text;
  std::string help;
  bool takesValue = false;
  bool takesPath = false;
  std::vector<std::string> values{};  // empty: any
};

// What may follow a subcommand, which is named by the way to it: "/config/show", "" for the
// program.
struct Level {
  std::string path;
  std::vector<Word> commands;
  std::vector<Word> options;
  bool takesPath = false;
};

bool isPath(const CLI::Option& option) {
  return option.get_type_name() == kPathType;
}

// What an option or argument takes, where that is a few words: "TEXT:{bash,zsh,fish}".
std::vector<std::string> valuesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find('{');
  const size_t end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

void addLevels(const CLI::App& app, const std::string& path, std::vector<Level>& levels) {
  Level level{path, {}, {}};
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : subcommands)
    level.commands.push_back({command->get_name(), command->get_description()});
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      level.options.push_back({"--" + name, option->get_description(),
                               option->get_items_expected_max() > 0, isPath(*option),
                               valuesOf(*option)});
    if (!option->get_positional() || !option->get_lnames().empty()) continue;
    for (const std::string& value : valuesOf(*option)) level.commands.push_back({value, {}});
    level.takesPath = level.takesPath || isPath(*option);
  }
  levels.push_back(std::move(level));
  for (const CLI::App* command : subcommands)
    addLevels(*command, strCat(path, "/", command->get_name()), levels);
}

// 'it'\''s': as all three shells take it.
std::string shellQuoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += strCat(text.empty() ? "" : " ", word);
  return text;
}

// Of every subcommand, between separators.
std::string paths(const std::vector<Level>& levels, std::string_view separator) {
  std::string text;
  for (const Level& level : levels)
    if (!level.path.empty()) text += strCat(text.empty() ? "" : separator, level.path);
  return text;
}

std::string bashScript(const std::string& program, const std::vector<Level>& levels) {
  std::string text =
      strCat("_", program, "() {\n  local current=${COMP_WORDS[COMP_CWORD]} at= words= files= i\n",
             "  for ((i = 1; i < COMP_CWORD; i++)); do\n    case $at/${COMP_WORDS[i]} in\n      ",
             paths(levels, " | "), ") at=$at/${COMP_WORDS[i]} ;;\n    esac\n  done\n",
             "  case $at:${COMP_WORDS[COMP_CWORD - 1]} in\n");
  for (const Level& level : levels)
    for (const Word& option : level.options)
      if (option.takesValue)
        text += strCat("    ", level.path, ":", option.text, ")\n",
                       option.takesPath ? "      compopt -o filenames\n" : "",
                       "      mapfile -t COMPREPLY < <(compgen ",
                       option.takesPath ? "-f" : strCat("-W '", joined(option.values), "'"),
                       " -- \"$current\")\n      return ;;\n");
  text += "  esac\n  case $at in\n";
  for (const Level& level : levels) {
    std::string words;
    for (const Word& word : level.commands) words += strCat(words.empty() ? "" : " ", word.text);
    for (const Word& word : level.options) words += strCat(words.empty() ? "" : " ", word.text);
    // Files beside the words, where they are wanted.
    text += strCat("    ", level.path.empty() ? "''" : level.path, ") words='", words, "'",
                   level.takesPath ? " files='-f'" : "", " ;;\n");
  }
  return strCat(text,
                "  esac\n  [[ $files ]] && compopt -o filenames\n"
                "  mapfile -t COMPREPLY < <(compgen $files -W \"$words\" -- \"$current\")\n",
                "}\ncomplete -F _", program, " ", program, "\n");
}

std::string zshScript(const std::string& program, const std::vector<Level>& levels) {
  // _describe takes "word:help", where a colon in either is escaped.
  const auto entry = [](const Word& word) {
    std::string help;
    for (const char c : word.help) help += c == ':' ? std::string("\\:") : std::string(1, c);
    return shellQuoted(strCat(word.text, ":", help));
  };
  std::string text =
      strCat("#compdef ", program, "\n_", program, "() {\n  local at= word files=\n",
             "  local -a commands options\n  for word in ${(@)words[2,CURRENT-1]}; do\n",
             "    case $at/$word in\n      ", paths(levels, "|"),
             ") at=$at/$word ;;\n    esac\n  done\n  case $at:${words[CURRENT-1]} in\n");
  for (const Level& level : levels)
    for (const Word& option : level.options)
      if (option.takesValue)
        text += strCat("    ", level.path, ":", option.text, ") ",
                       option.takesPath ? "_files" : strCat("compadd ", joined(option.values)),
                       "; return ;;\n");
  text += "  esac\n  case $at in\n";
  for (const Level& level : levels) {
    text += strCat("    ", level.path.empty() ? "''" : level.path, ")\n      commands=(");
    for (const Word& word : level.commands) text += strCat("\n        ", entry(word));
    text += ")\n      options=(";
    for (const Word& word : level.options) text += strCat("\n        ", entry(word));
    text += strCat(")\n      files=", level.takesPath ? "1" : "", " ;;\n");
  }
  return strCat(text,
                "  esac\n  [[ -n $files ]] && _files\n  (( $#commands )) && _describe -t commands "
                "command commands\n",
                "  _describe -t options option options -o\n}\n_", program, " \"$@\"\n");
}

std::string fishScript(const std::string& program, const std::vector<Level>& levels) {
  std::string text =
      strCat("function __", program, "_at\n  set -l at ''\n",
             "  for word in (commandline -opc)[2..-1]\n    switch $at/$word\n      case ",
             paths(levels, " "), "\n        set at $at/$word\n    end\n  end\n",
             "  test \"$at\" = \"$argv[1]\"\nend\ncomplete -c ", program, " -f\n");
  for (const Level& level : levels) {
    const std::string here =
        strCat("complete -c ", program, " -n \"__", program, "_at '", level.path, "'\" ");
    const auto help = [](const Word& word) {
      return word.help.empty() ? std::string() : strCat(" -d ", shellQuoted(word.help));
    };
    const auto takes = [](const Word& word) {
      if (!word.values.empty()) return strCat(" -x -a ", shellQuoted(joined(word.values)));
      return std::string(word.takesPath ? " -r -F" : word.takesValue ? " -x" : "");
    };
    if (level.takesPath) text += strCat(here, "-F\n");
    for (const Word& word : level.commands)
      text += strCat(here, "-a ", word.text, help(word), "\n");
    for (const Word& word : level.options)
      text += strCat(here, "-l ", word.text.substr(2), takes(word), help(word), "\n");
  }
  return text;
}

}  // namespace

std::vector<std::string> completionShells() {
  return {"bash", "zsh", "fish"};
}

std::string completionScript(const CLI::App& app, const std::string& shell) {
  std::vector<Level> levels;
  addLevels(app, {}, levels);
  if (shell == "bash") return bashScript(app.get_name(), levels);
  return shell == "zsh" ? zshScript(app.get_name(), levels) : fishScript(app.get_name(), levels);
}

}  // namespace berth::program
