#!/usr/bin/perl
# Net::SMTP as a client.   net-smtp.pl hello|verify|send ADDRESS plain|tls [SIZE]
use strict;
use warnings;
use Net::SMTP;

my ($action, $address, $security, $size) = @ARGV;
my $smtp = Net::SMTP->new($address, Hello => 'pc-17.example.org', Timeout => 60) or die "no connection: $@";
$smtp->starttls(SSL_verify_mode => 0) or die $smtp->message if $security eq 'tls';
if ($action eq 'verify') {
  $smtp->verify('bob@example.net');
} elsif ($action eq 'send') {
  my $line = "All work and no play makes a very dull day for everybody here.\n";
  if ($smtp->mail('anna@example.org') and $smtp->to('bob@example.net')) {
    $smtp->data();
    $smtp->datasend("From: anna\@example.org\nTo: bob\@example.net\nSubject: Report\n\n");
    my $text = substr($line x ($size / length($line) + 1), 0, $size > 120 ? $size - 80 : 40);
    $smtp->datasend("$_\n") for split /\n/, $text;
    $smtp->dataend();
  }
}
$smtp->quit;
