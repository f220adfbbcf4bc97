#!/bin/sh
# Keys and certificates of the lab's servers: small (one RSA certificate), ec (one of a curve), chain (three certificates of
# RSA 2048), big (three of RSA 4096 with long names).   certificates.sh DIRECTORY
set -eu
cd "$1"
sign() { # NAME SIGNER EXTENSIONS
  printf "$3\n" >"$1.ext"
  signer="-CA $2.crt -CAkey $2.key -CAcreateserial"
  [ "$1" != "$2" ] || signer="-signkey $1.key"
  openssl x509 -req -in "$1.csr" $signer -days 3650 -sha256 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}
leaf() { # NAME NEWKEY SIGNER NAMES
  openssl req -newkey $2 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=mx.example.net" 2>/dev/null
  sign "$1" "$3" "subjectAltName=$4"
}
authority() { # NAME BITS SUBJECT SIGNER
  openssl req -newkey "rsa:$2" -nodes -keyout "$1.key" -out "$1.csr" -subj "$3" 2>/dev/null
  sign "$1" "$4" 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign'
}
authority root 2048 '/O=Lab Trust Services/CN=Lab Root R1' root
authority middle 2048 '/O=Lab Trust Services/CN=Lab Intermediate E5' root
authority bigmiddle 4096 '/C=DE/O=Lab Trust Services with a long name GmbH/OU=Certification/CN=Lab Intermediate RSA 4096' root
leaf small rsa:2048 small DNS:mx.example.net
leaf ec 'ec -pkeyopt ec_paramgen_curve:prime256v1' root DNS:mx.example.net
leaf chain rsa:2048 middle DNS:mx.example.net,DNS:mail.example.net,DNS:smtp.example.net
leaf big rsa:4096 bigmiddle DNS:mx.example.net,DNS:mail.example.net,DNS:smtp.example.net,DNS:mx1.example.net,DNS:mx2.example.net
cp small.crt small.pem
cat ec.crt root.crt >ec.pem
cat chain.crt middle.crt root.crt >chain.pem
cat big.crt bigmiddle.crt root.crt >big.pem
chmod 644 ./*.key
