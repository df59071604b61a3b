# bash completion for vmadm(8): commands, UUIDs, snapshots. SPDX: BSD-2-Clause
_vmadm() {
	local cur=${COMP_WORDS[COMP_CWORD]} verb='' vm='' root=() i words=''
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-R)
			root=(-R "${COMP_WORDS[i + 1]:-}")
			i=$((i + 1))
			;;
		-[ft]) i=$((i + 1)) ;;
		-*) ;;
		*)
			if [ -z "$verb" ]; then
				verb=${COMP_WORDS[i]}
			elif [ -z "$vm" ]; then
				vm=${COMP_WORDS[i]}
			fi
			;;
		esac
	done
	COMPREPLY=()
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-R)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	-f)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-t) return ;;
	esac
	case $verb:$vm in
	: | help:) words=$(vmadm help 2>/dev/null | cut -d' ' -f1) ;;
	create:* | receive:*)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	list:* | lookup:* | create-snapshot:?*) return ;;
	validate:) words='create update' ;;
	validate:update) words=bhyve ;;
	*snapshot:?*)
		words=$(vmadm "${root[@]}" list -p -o 'snapshots.*.name' uuid="$vm" 2>/dev/null)
		[ "$words" != - ] || return
		words=${words//,/ }
		;;
	sysrq:?*) words=nmi ;;
	info:?*) words='run usage console all' ;;
	*:) words=$(vmadm "${root[@]}" lookup 2>/dev/null) ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _vmadm vmadm
