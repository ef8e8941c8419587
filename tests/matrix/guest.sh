#!/bin/bash
# First program in a guest: guest.sh CHECKOUT PYTHON. The host's root file system comes over 9p without
# a cache, where each page of a program is a round trip; it is mounted a second time with one.
set -e
mount -t tmpfs run /run
read -r tag _ < <(grep ' /mnt 9p ' /proc/mounts)
umount /mnt
mount -t 9p -o ro,version=9p2000.L,trans=virtio,access=any,msize=524288,cache=loose "$tag" /mnt
for folder in proc sys dev run media; do
  mount --rbind "/$folder" "/mnt/$folder"
done
mkdir -p /run/netns /run/tmp/new /run/tmp/work
mount -t overlay -o lowerdir=/mnt/tmp,upperdir=/run/tmp/new,workdir=/run/tmp/work tmp /mnt/tmp
exec >/media/console.txt 2>&1
exec chroot /mnt env -C "$1" OVS_RUNDIR=/run/openvswitch PYTHONPATH=. \
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$2" -m tests.matrix.guest /media
