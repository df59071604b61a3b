# Every wrong command line is refused in one line that names the option.
load common

K="-o boot.kernel=/nonexistent"

@test "usage" {
	refused "the name of the virtual machine is missing; bhyve -h shows the usage"
	refused "unknown option -z; bhyve -h lists the options" -z vm0
	refused "-m needs an argument: size*" -m
	refused "'vm1' is one operand too many; *" vm0 vm1
	refused "'-h' is one operand too many; *" vm0 -h
}

@test "values are checked where they are given" {
	refused "-m 12Q: memory.size: '12Q' is not a size *" -m 12Q vm0
	refused "-m 0: memory.size: *" -m 0 vm0
	refused "-m 99999T: memory.size: *" -m 99999T vm0
	refused "-U abc: uuid: 'abc' is not a UUID *" -U abc vm0
	refused "-c x: cpus: 'x' is not a number" -c x vm0
	refused "-c 0: cpus: 0 is not in 1..254" -c 0 vm0
	refused "-c 255: cpus: 255 is not in 1..254" -c 255 vm0
	refused "-c cpu=2: 'cpu' is none of *; did you mean 'cpus'?" -c cpu=2 vm0
	refused "-G 99999: gdb.port: *" -G 99999 vm0
	refused "-p 1: not of the form vcpu:hostcpu, two numbers" -p 1 vm0
	refused "-p 1:x: not of the form *" -p 1:x vm0
	refused "-f x: not of the form *" -f x vm0
	refused "-f x,text=1: after the name comes string=text or file=path" -f x,text=1 vm0
	refused "-n 0,1G: not of the form *" -n 0,1G vm0
	refused "-n 9,1G,0: domain id '9'; 0 to 7" -n 9,1G,0 vm0
	refused "-k /nonexistent: *No such file or directory" -k /nonexistent vm0
	refused "-o cpus: *" -o cpus vm0
	refused "-B 4,a=b: SMBIOS type '4'; *" -B 4,a=b vm0
	refused "-B 1: no field=value after the type" -B 1 vm0
	refused "-B 1,produt=x: SMBIOS type 1 has no field 'produt'; did you mean 'product'?" \
		-B 1,produt=x vm0
	refused "-B 1,uuid=x: uuid: *" -B 1,uuid=x vm0
}

@test "unknown variables name the nearest" {
	refused "memry.size: *did you mean 'memory.size'?" -o memry.size=1G vm0
	refused "memory.siez: *did you mean '*size'?" -o memory.siez=1G vm0
	refused "colour: *" -o colour=red vm0
	refused "*engine: 'kwm' is not one of auto|kvm|soft; did you mean 'kvm'?" -o engine=kwm $K vm0
	refused "*pci.0.x*" -o pci.0.x=1 vm0
	refused "*pci.0.32*" -o pci.0.32.0.device=lpc vm0
	refused "*pci.0.3.8*" -o pci.0.3.8.device=lpc vm0
	refused "pci.0.3.0.device is missing; *" -o pci.0.3.0.path=/x vm0
}

@test "slots" {
	refused "-s 4: no device after the slot" -s 4 vm0
	refused "-s 32,lpc: slot '32' is not 0 to 31" -s 32,lpc vm0
	refused "-s 4:8,lpc: function '8' is not 0 to 7" -s 4:8,lpc vm0
	refused "-s 256:4:0,lpc: bus '256' is not 0 to 255" -s 256:4:0,lpc vm0
	refused "-s 1:2:3:4,lpc: address is *" -s 1:2:3:4,lpc vm0
	refused "-s x,lpc: slot 'x' is not 0 to 31" -s x,lpc vm0
	refused "-s 4:,lpc: function '' is not 0 to 7" -s 4:,lpc vm0
	refused "-s 4:0,hostbridge: two devices in one slot: 0:4:0 holds 'lpc' already" \
		-s 4,lpc -s 4:0,hostbridge vm0
	refused "-s 5,lpc: there is an LPC bridge already" -s 4,lpc -s 5,lpc $K vm0
	refused "-s 1:4:0,lpc: the LPC bridge must be on bus 0" -s 1:4:0,lpc $K vm0
}

@test "devices" {
	refused "-s 4,hostbrige: unknown device 'hostbrige'; did you mean 'hostbridge'?" \
		-s 4,hostbrige vm0
	refused "-s 4,toaster: unknown device 'toaster'; devices: hostbridge, *" -s 4,toaster vm0
	refused "-s 4,e1000,tap0: device 'e1000' is not built into this zhyve yet; devices: hostbridge, *" \
		-s 4,e1000,tap0 vm0
	refused "-s 4,ahci: /none/x.iso: cannot open: No such file*" -s 4,ahci-cd,/none/x.iso $K vm0
	refused "-s 4,ahci*a controller without a port*" -s 4,ahci $K vm0
	refused "-s 4,ahci-hd,,ro*needs the path*" -s 4,ahci-hd,,ro $K vm0
	refused "-s 0,hostbridge: pci.0.0.0.modl: *did you mean 'model'?" -s 0,hostbridge,modl=q35 $K vm0
	refused "-l comm1,stdio: unknown LPC device 'comm1'*did you mean 'com1'?" -l comm1,stdio vm0
	refused "-l com1: the form is com1,*" -l com1 vm0
	refused "-l com1,stdio: serial ports need the LPC bridge; add -s 31,lpc" -l com1,stdio $K vm0
	refused "-l tpm,swtpm: the form is tpm,*" -l tpm,swtpm vm0
}

@test "what is not built yet says so" {
	refused "-G 1234: the GDB debug server is not built into this zhyve yet" -G 1234 $K vm0
	refused "-K us: the keyboard layout * is not built into this zhyve yet" -K us $K vm0
	refused "-n: guest NUMA is not built into this zhyve yet" -n 0,1G,0 $K vm0
	refused "-r /x: resuming from a snapshot is not built into this zhyve yet" -r /x $K vm0
	refused "-d: * is not built into this zhyve yet" -d $K vm0
	refused "-l pc-testdev: * is not built into this zhyve yet" -l pc-testdev $K vm0
	refused "-l tpm: a TPM is not built into this zhyve yet" -l tpm,swtpm,/x $K vm0
	bhyve -o gdb.port=0 -o suspend_at_boot=false vm0
	[[ $err == *"nothing to boot"* ]]
}

@test "topology, memory, pins" {
	refused "-c cpus=5,sockets=1,cores=2,threads=1: 5 CPUs are not *" -c 5,sockets=1,cores=2 $K vm0
	refused "-c cpus=256: at most 254 CPUs" -c sockets=16,cores=16 $K vm0
	refused "-m: * a multiple of 1M*" -m 1500K $K vm0
	refused "-p 2:0: there are virtual CPUs 0 to 1" -c 2 -p 2:0 $K vm0
}

@test "nothing to boot" {
	refused "nothing to boot; give a kernel with -o boot.kernel=path or a firmware with -l bootrom,path" vm0
}

@test "firmware" {
	M="-m 16 -s 31,lpc -o engine=soft"
	truncate -s 64K rom
	refused "-l bootrom: the form is bootrom,romfile*" -l bootrom vm0
	refused "-l bootrom,a,b,c: 'c' is one too many; *" -l bootrom,a,b,c vm0
	refused "-l bootrom,rom: firmware needs the LPC bridge; add -s 31,lpc" -l bootrom,rom vm0
	refused "-l bootrom,rom: the firmware would not look at boot.kernel=/nonexistent; *" $M $K -l bootrom,rom vm0
	refused "lpc.bootvars=v: variables without a firmware; *" $M -o lpc.bootvars=v vm0
	refused "-l bootrom,none: cannot open: No such file or directory" $M -l bootrom,none vm0
	refused "-l bootrom,/dev/fd/77: cannot use the descriptor: Bad file descriptor" $M -l bootrom,/dev/fd/77 vm0
	refused "-l bootrom,/dev/fd/x: no number of a file descriptor" $M -l bootrom,/dev/fd/x vm0
	refused "-l bootrom,/dev/zero: is not a regular file" $M -l bootrom,/dev/zero vm0
	refused "-l bootrom,.: is not a regular file" $M -l bootrom,. vm0
	mkfifo fifo
	refused "-l bootrom,fifo: is not a regular file" $M -l bootrom,fifo vm0
	for size in 0 1 65537 17M; do
		rm -f odd
		truncate -s $size odd
		refused "-l bootrom,odd: * bytes are no firmware; its size is a multiple of 4096, at most 16777216" \
			$M -l bootrom,odd vm0
	done
	truncate -s 16M odd
	refused "-l bootrom,rom,odd: 16777216 bytes; beside the image there is room for 16711680" \
		$M -l bootrom,rom,odd vm0
	truncate -s 100 odd
	refused "-l bootrom,rom,odd: 100 bytes are no firmware; *" $M -l bootrom,rom,odd vm0
	refused "-l bootrom,rom,gone: cannot open: *" $M -l bootrom,rom,gone vm0
	truncate -s 4K odd
	exec 9<odd
	refused "-l bootrom,rom,/dev/fd/9: is not open for reading and writing" $M -l bootrom,rom,/dev/fd/9 vm0
}
