# zonecfg with a person in front.
load zonecfg

# typed ARG...: zonecfg on a terminal, the script on standard input.
typed() {
	python3 "$BATS_TEST_DIRNAME/typed.py" "$ZONECFG" -R root "$@"
}

@test "prompts name the zone and the resource" {
	typed -z web <<-'END'
		see there is no such zone yet
		see zonecfg:web> 
		send create\r
		see zonecfg:web> 
		send set zonepath=/zones/web\r
		see zonecfg:web> 
		send add net\r
		see zonecfg:web:net> 
		send set physical=web0\r
		see zonecfg:web:net> 
		send end\r
		see zonecfg:web> 
		send exit\r
	END
	ok -z web info net
	[ "$out" = $'net:\n\tphysical: web0' ]
}

@test "an error is told, and the session goes on" {
	make_zone z
	typed -z z <<-'END'
		see zonecfg:z> 
		send set autoboot=maybe\r
		see autoboot: 'maybe' is wrong
		see zonecfg:z> 
		send set autoboot=true; info autoboot\r
		see autoboot: true
		send exit\r
	END
	ok -z z info autoboot
	[ "$out" = "autoboot: true" ]
}

@test "tab completes, and lists what could follow" {
	make_zone z
	typed -z z <<-'END'
		see zonecfg:z> 
		send se
		send \t
		see select  set
		send t auto\ttrue\r
		see zonecfg:z> 
		send add capped-c\t\r
		see zonecfg:z:capped-cpu> 
		send set nc\t2\r
		see zonecfg:z:capped-cpu> 
		send end\r
		see zonecfg:z> 
		send exit\r
	END
	ok -z z info autoboot
	[ "$out" = "autoboot: true" ]
	ok -z z info capped-cpu
	[ "$out" = $'capped-cpu:\n\t[ncpus: 2]' ]
}

@test "the up arrow brings a line back" {
	make_zone z
	typed -z z <<-'END'
		see zonecfg:z> 
		send set bootargs=abc\r
		see zonecfg:z> 
		send \x1b[A\x7fd\r
		see zonecfg:z> 
		send exit\r
	END
	ok -z z info bootargs
	[ "$out" = "bootargs: abd" ]
}

@test "destructive commands ask" {
	make_zone z "add net; set physical=a; end; add net; set physical=b; end"
	typed -z z <<-'END'
		see zonecfg:z> 
		send remove net\r
		see this removes 2 net resources; do it (y/[n])?
		send n\r
		see not done
		see zonecfg:z> 
		send delete\r
		see would be deleted; do it (y/[n])?
		send \r
		see not done
		send set bootargs=x\r
		see zonecfg:z> 
		send revert\r
		see changes of zone 'z' would be lost
		send y\r
		see zonecfg:z> 
		send info bootargs\r
		see bootargs: 
		send remove net\r
		see do it
		send y\r
		see zonecfg:z> 
		send exit\r
	END
	ok -z z info net
	[ -z "$out" ]
	typed -z z <<-'END'
		see zonecfg:z> 
		send delete\r
		see do it
		send y\r
		see zonecfg:z> 
		send exit\r
	END
	[ "$(files)" = "index " ]
}

@test "a question on the command line, too" {
	make_zone z
	typed -z z delete <<-'END'
		see do it (y/[n])?
		send y\r
	END
	[ "$(files)" = "index " ]
}

@test "leaving with something that cannot be saved asks" {
	run typed -z z <<-'END'
		see zonecfg:z> 
		send create -b\r
		see zonecfg:z> 
		send exit\r
		see Not saved: zonepath is not set
		see Leave anyway (y/[n])?
		send n\r
		see zonecfg:z> 
		send exit\r
		see Leave anyway
		send y\r
	END
	[ "$status" -eq 0 ]
	[ -z "$(files)" ]
}

@test "end of file commits; a failure is exit status 1" {
	typed -z z <<-'END'
		see zonecfg:z> 
		send create; set zonepath=/z\r
		see zonecfg:z> 
		eof
	END
	ok -z z info zonepath
	run typed -z y <<-'END'
		see zonecfg:y> 
		send create -b\r
		see zonecfg:y> 
		eof
		see not saved: zonepath is not set
	END
	[ "$status" -eq 1 ]
}
