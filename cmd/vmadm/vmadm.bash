# bash completion for vmadm(8): commands, UUIDs, fields. SPDX: BSD-2-Clause
_vmadm() {
	local cur=${COMP_WORDS[COMP_CWORD]} verb='' root=() i
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [ "${COMP_WORDS[i]}" = -R ]; then
			root=(-R "${COMP_WORDS[i + 1]:-}")
			i=$((i + 1))
		elif [ -z "$verb" ]; then
			verb=${COMP_WORDS[i]}
		fi
	done
	case $verb in
	'')
		mapfile -t COMPREPLY < <(compgen -W "$(vmadm help 2>/dev/null | cut -d' ' -f1)" -- "$cur")
		;;
	create | receive | list | lookup | help)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	validate)
		mapfile -t COMPREPLY < <(compgen -W 'create update' -- "$cur")
		;;
	*)
		mapfile -t COMPREPLY < <(compgen -W "$(vmadm "${root[@]}" lookup 2>/dev/null)" -- "$cur")
		;;
	esac
}
complete -F _vmadm vmadm
