#!/bin/sh
# Starts an instance of Postfix that lives in one directory: postfix.sh DIRECTORY 'parameter = value'...
# Where postfix is not installed but unpacked over /usr, as the lab does it, nothing else is on its way.
# Each parameter is written once, the caller's last: of one that stands twice every program warns before it knows its log
# file, through postlogd, and postlogd itself waits for ever once its own socket holds ten such warnings.
set -eu
home=$1
shift
mkdir -p "$home/conf" "$home/queue" "$home/data"
chmod 755 "$home"
{
  cat <<MAIN
compatibility_level = 3.6
queue_directory = $home/queue
data_directory = $home/data
maillog_file = $home/mail.log
maillog_file_prefixes = /tmp, /var
mail_owner = postfix
setgid_group = postdrop
mynetworks = 0.0.0.0/0, [::]/0
myorigin = example.org
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtputf8_enable = no
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_session_cache_database = btree:$home/data/sessions
address_verify_map = btree:$home/data/verify
MAIN
  printf '%s\n' "$@"
} | awk -F ' *= *' '{ value[$1] = $0 } END { for (name in value) print value[name] }' >"$home/conf/main.cf"
cat >"$home/conf/master.cf" <<'MASTER'
smtp      inet  n       -       n       -       -       smtpd
pickup    unix  n       -       n       1       1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
MASTER
chown postfix "$home/data"
chmod 700 "$home/data"
postfix -c "$home/conf" start
