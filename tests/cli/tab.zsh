# What a tab makes of each line, in a zsh at a terminal: "<LINE>" each.
#	zsh -f tab.zsh FOLDER-OF-_vmadm LINE...
# ZSH_MODULES, ZSH_FUNCTIONS: where a zsh that is not installed has them.
[[ -z ${ZSH_MODULES:-} ]] || module_path=($ZSH_MODULES)
zmodload zsh/zpty || exit 77
completion=$1
shift
zpty sh "${ZSH:-zsh} -f -i"
until_said() {
	local chunk
	got=
	while [[ $got != *$1* ]]; do
		zpty -r sh chunk || exit 1
		got+=$chunk
	done
}
zpty -w sh "${ZSH_MODULES:+module_path=($ZSH_MODULES);} PS1=; fpath=($completion ${ZSH_FUNCTIONS:-\$fpath})"
# the line as the tab left it, told by the shell itself
zpty -w sh 'tell() { print -r -- "SA""ID<$BUFFER>EN""DS"; BUFFER=; }; zle -N tell; bindkey "^T" tell; autoload -Uz compinit; compinit -u -D; print REA""DY'
until_said READY
for line in "$@"; do
	zpty -w -n sh "$line"$'\t\x14'
	until_said ENDS
	print -r -- "<${${got##*SAID<}%%>ENDS*}>"
done
zpty -d sh
