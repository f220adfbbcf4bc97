// Go's net/smtp as a client; its TLS has sent a post-quantum key share since Go 1.24.
//
//	mailer check|verify|send ADDRESS plain|tls [SIZE]
package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"strconv"
	"strings"
)

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	action, address, security := os.Args[1], os.Args[2], os.Args[3]
	connection, err := net.Dial("tcp", net.JoinHostPort(address, "25"))
	must(err)
	client, err := smtp.NewClient(connection, "mx.example.net")
	must(err)
	must(client.Hello("pc-17.example.org"))
	if security == "tls" {
		must(client.StartTLS(&tls.Config{ServerName: "mx.example.net", InsecureSkipVerify: true}))
	}
	switch action {
	case "verify":
		must(client.Noop())
	case "send":
		size, err := strconv.Atoi(os.Args[4])
		must(err)
		must(client.Mail("anna@example.org"))
		must(client.Rcpt("bob@example.net"))
		writer, err := client.Data()
		must(err)
		head := "From: anna@example.org\r\nTo: bob@example.net\r\nSubject: Report\r\n\r\n"
		line := "All work and no play makes a very dull day for everybody here.\r\n"
		text := head + strings.Repeat(line, size/len(line)+1)
		_, err = writer.Write([]byte(text[:size]))
		must(err)
		must(writer.Close())
	}
	must(client.Quit())
}
