// Each script passes the words of the command line to the program that is being completed (which may be another
// version of bottle than the one in PATH), and offers the lines that come back. "--flag=value" needs care: bash
// splits it into three words, which the script joins again, and expects only the value as an answer.
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "manifest/manifest.h"

namespace bottle::app {
namespace {

// The scripts contain no names of commands. They call `bottle __complete` and treat its output as data, never as
// code.
constexpr const char* kBash = R"~(# bash completion for bottle: source <(bottle completion bash)
_bottle() {
  local -a words=()
  local i word line value kind rest=
  for ((i = 1; i <= COMP_CWORD; i++)); do # bash splits --flag=value at the =
    word=${COMP_WORDS[i]}
    if ((${#words[@]} > 0)) && { [[ $word == = ]] || [[ ${COMP_WORDS[i - 1]} == = ]]; }; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done
  word=${words[-1]}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) rest=$line ;;
      *)
        value=${line%%$'\t'*}
        [[ $word == --*=* ]] && value=${value#*=}
        COMPREPLY+=("$value")
        ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
  [[ $word == --*=* ]] && word=${word#*=}
  case $rest in
    :files) kind=-f ;;
    :directories) kind=-d ;;
    *) return ;;
  esac
  compopt -o filenames 2>/dev/null
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$kind" -- "$word")
}
complete -F _bottle bottle
)~";

// -V keeps the order of the candidates. The last line makes the file work both in $fpath and when it is sourced.
constexpr const char* kZsh = R"~(#compdef bottle
# zsh completion for bottle: put it into a directory of $fpath as _bottle, or: source <(bottle completion zsh)
_bottle() {
  local -a described
  local line rest value
  while IFS= read -r line; do
    case $line in
      :*) rest=$line ;;
      *) value=${line%%$'\t'*}; described+=("${value//:/\\:}:${line#*$'\t'}") ;;
    esac
  done < <("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)
  (( ${#described} )) && _describe -V bottle described
  case $rest in
    :files) _files ;;
    :directories) _files -/ ;;
  esac
}
if [ "$funcstack[1]" = _bottle ]; then _bottle "$@"; else compdef _bottle bottle; fi
)~";

// -f keeps fish from offering files where none are wanted.
constexpr const char* kFish =
    R"~(# fish completion for bottle: bottle completion fish > ~/.config/fish/completions/bottle.fish
function __bottle_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  test -n "$current"; or set current ''
  for line in (command $words[1] __complete $words[2..-1] "$current" 2>/dev/null)
    switch $line
      case ':files'
        __fish_complete_path "$current"
      case ':directories'
        __fish_complete_directories "$current"
      case ':*'
      case '*'
        printf '%s\n' $line
    end
  end
end
complete -c bottle -f -a '(__bottle_complete)'
)~";

}  // namespace

void add_completion(Command app) {
  auto shell = std::make_shared<std::string>();
  Command command = app.command("completion");
  command.option("shell", *shell).required();
  command.runs([shell] {
    if (*shell == "bash") print_page(kBash);
    else if (*shell == "zsh") print_page(kZsh);
    else if (*shell == "fish") print_page(kFish);
    else
      return report({Code::invalid, "there is no completion for '" + *shell + "'",
                     manifest::suggest(*shell, {"bash", "zsh", "fish"})});
    return 0;
  });
}

}  // namespace bottle::app
