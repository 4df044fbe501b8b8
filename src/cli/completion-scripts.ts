/** What shells need to complete `ocireg`: each script asks `ocireg __complete WORD…`. */

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Where nothing is proposed, files are. */
const bash = `# bash completion for ocireg: source <(ocireg completion bash)
_ocireg() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(ocireg __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _ocireg ocireg
`;

const zsh = `#compdef ocireg
# zsh completion for ocireg: put this into a directory of $fpath as _ocireg
_ocireg() {
  local line
  local -a proposals
  while IFS= read -r line; do
    proposals+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done < <(ocireg __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#proposals} )); then
    _describe -o 'ocireg' proposals
  else
    _files
  fi
}
if [ "$funcstack[1]" = "_ocireg" ]; then
  _ocireg "$@"
else
  compdef _ocireg ocireg
fi
`;

const fish = `# fish completion for ocireg: put this into ~/.config/fish/completions/ocireg.fish
function __ocireg_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l proposals (ocireg __complete $words[2..-1] 2>/dev/null)
  if test (count $proposals) -gt 0
    printf '%s\\n' $proposals
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c ocireg -f -a '(__ocireg_complete)'
`;

export const completionScripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
