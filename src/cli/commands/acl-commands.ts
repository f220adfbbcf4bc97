/** The commands of the block lists: what is in them, who decides, how they reach routers. */

import { type Command, Option } from 'commander';
import { ACL_FAMILIES } from '../../acl/model.ts';
import { ACL_FORMS, ACL_KINDS, ACL_PLATFORMS, ACL_TRAFFIC, WITHOUT_SENDERS } from '../../acl/platforms.ts';
import { QUARANTINE_PLATFORMS, type QuarantinePlatform } from '../../acl/quarantine.ts';
import { RogueSmtpError } from '../../errors.ts';
import type { AclRenderRequest } from '../../publish/acl-request.ts';
import type { DecisionFlags, RollbackFlags } from '../acl-desk.ts';
import type { AclPushFlags } from '../acl-push.ts';
import type { CommandContext } from './context.ts';
import { count, durationOption, examples } from './option-values.ts';

export function registerAclCommands(program: Command, { settings, asking }: CommandContext): void {
  const acl = program.command('acl').description('block lists');
  acl
    .command('render')
    .description('an access list on stdout')
    .addOption(
      new Option('--platform <name>', 'router platform').choices(ACL_PLATFORMS).makeOptionMandatory(),
    )
    .addOption(
      new Option('--form <form>', 'where the platform reads more than one (junos)').choices(ACL_FORMS),
    )
    .addOption(new Option('--kind <kind>', 'who is denied').choices(ACL_KINDS).makeOptionMandatory())
    .addOption(new Option('--family <family>', 'IP version').choices(ACL_FAMILIES).default('4'))
    .option('--interface <name>', 'LAN-facing interface, as the router calls it')
    .addOption(
      new Option('--traffic <whose>', 'what the router forwards, or what it sends itself').choices(
        ACL_TRAFFIC,
      ),
    )
    .addOption(
      new Option(
        '--without-senders <what>',
        'a policy of an IP version without senders: refuse it, or deny everyone',
      ).choices(WITHOUT_SENDERS),
    )
    .addHelpText('after', examples('acl render --platform nftables --kind offenders | nft -c -f -'))
    .action(async (flags: AclRenderRequest) => {
      const { aclRenderCommand } = await import('../acl.ts');
      await aclRenderCommand(asking(), flags, process);
    });

  acl
    .command('push')
    .description(
      'send a list to its router over SSH; the router undoes it unless it is then seen in force; needs "push" of the target',
    )
    .argument('<target>', 'name of an ACL target')
    .addOption(new Option('--family <family>', 'IP version').choices(ACL_FAMILIES).default('4'))
    .option('--dry-run', 'show what the router has and what would change; change nothing')
    .addHelpText('after', examples('acl push border --dry-run', 'acl push border --family 6'))
    .action(async (target: string, flags: AclPushFlags) => {
      const { aclPushCommand } = await import('../acl-push.ts');
      process.exitCode = await aclPushCommand(settings(), target, flags, process);
    });

  acl
    .command('quarantine')
    .description(
      'black hole routes (RTBH) of hosts that you name, on stdout: cuts them off from everything, not only from port 25',
    )
    .argument('<host...>', 'addresses of single hosts')
    .addOption(
      new Option('--platform <name>', 'whose language').choices(QUARANTINE_PLATFORMS).makeOptionMandatory(),
    )
    .addHelpText('after', examples('acl quarantine 192.0.2.55 --platform frr'))
    .action(async (hosts: string[], flags: { platform: QuarantinePlatform }) => {
      const { aclQuarantineCommand } = await import('../acl-quarantine.ts');
      aclQuarantineCommand(settings(), hosts, flags, process);
    });

  acl
    .command('exabgp')
    .description('run by ExaBGP as a process: its FlowSpec routes follow the files of a target')
    .argument('<target>', 'name of an ACL target of the platform exabgp')
    .addHelpText(
      'after',
      '\nIn the configuration of ExaBGP:\n  process rogue-smtp { run rogue-smtp acl exabgp TARGET; encoder text; }',
    )
    .action(async (target: string) => {
      const { aclExabgpCommand } = await import('../acl-exabgp.ts');
      await aclExabgpCommand(settings(), target);
    });

  acl
    .command('list')
    .description('who is blocked, who waits for approval, and the revision of each list')
    .option('--json', 'JSON for scripts')
    .addHelpText(
      'after',
      examples('acl list', 'acl list --json | jq -r ".hosts[] | select(.waiting) | .host"'),
    )
    .action(async (flags: { json?: boolean }) => {
      const { aclListCommand } = await import('../acl-desk.ts');
      await aclListCommand(asking(), flags, process);
    });

  acl
    .command('diff')
    .description(
      'what would change in each list if every waiting host were approved; exit code 1 if anything would',
    )
    .argument('[target]', 'name of an ACL target; default: all')
    .action(async (target: string | undefined) => {
      const { aclDiffCommand } = await import('../acl-desk.ts');
      process.exitCode = await aclDiffCommand(asking(), target, process);
    });

  acl
    .command('log')
    .description('who or what changed the lists, when and why')
    .option('--json', 'NDJSON for scripts')
    .option('--limit <n>', 'how many of the newest', count, 100)
    .action(async (flags: { json?: boolean; limit: number }) => {
      const { aclLogCommand } = await import('../acl-desk.ts');
      await aclLogCommand(asking(), flags, process);
    });

  acl
    .command('approve')
    .description('put waiting hosts into the lists')
    .argument('[host...]')
    .option('--all', 'all waiting hosts')
    .option(
      '--site <name>',
      'of the hosts, where several sites use the same addresses; the same as HOST@SITE',
    )
    .option('--reason <text>', 'for the audit log')
    .addHelpText('after', examples('acl approve 192.0.2.55 --reason "bot, ticket 4711"', 'acl approve --all'))
    .action(async (hosts: string[], flags: DecisionFlags & { all?: boolean }) => {
      if ((flags.all === true) === hosts.length > 0)
        throw new RogueSmtpError('usage', 'name the hosts to approve, or say --all');
      const { aclApproveCommand } = await import('../acl-desk.ts');
      await aclApproveCommand(asking(), hosts, flags, process);
    });

  acl
    .command('reject')
    .description('do not block these hosts while their incident lasts')
    .argument('<host...>')
    .requiredOption('--reason <text>', 'for the audit log, and shown with the incident')
    .option(
      '--site <name>',
      'of the hosts, where several sites use the same addresses; the same as HOST@SITE',
    )
    .addHelpText('after', examples('acl reject 192.0.2.55 --reason "newsletter server, owner known"'))
    .action(async (hosts: string[], flags: DecisionFlags) => {
      const { aclRejectCommand } = await import('../acl-desk.ts');
      await aclRejectCommand(asking(), hosts, flags, process);
    });

  acl
    .command('release')
    .description('lift the block of hosts now, and do not block them again for a time')
    .argument('<host...>')
    .option('--for <duration>', 'not blocked again before', durationOption, 86_400_000)
    .option(
      '--site <name>',
      'of the hosts, where several sites use the same addresses; the same as HOST@SITE',
    )
    .option('--reason <text>', 'for the audit log, and shown with the incident')
    .addHelpText('after', examples('acl release 192.0.2.55 --for 24h --reason "reinstalled"'))
    .action(async (hosts: string[], flags: DecisionFlags & { for: number }) => {
      const { aclReleaseCommand } = await import('../acl-desk.ts');
      await aclReleaseCommand(asking(), hosts, flags, process);
    });

  program
    .command('block')
    .description('block hosts on port 25 for a time, whatever the evidence; the interlocks hold')
    .argument('<host...>')
    .requiredOption('--for <duration>', 'how long, such as 24h', durationOption)
    .requiredOption('--reason <text>', 'for the audit log, and shown with the block')
    .option(
      '--site <name>',
      'of the hosts, where several sites use the same addresses; the same as HOST@SITE',
    )
    .addHelpText(
      'after',
      `${examples('block 192.0.2.55 --for 24h --reason "complaint, ticket 4711"')}\nTo end it earlier: rogue-smtp acl release HOST`,
    )
    .action(async (hosts: string[], flags: DecisionFlags & { for: number; reason: string }) => {
      const { blockCommand } = await import('../acl-desk.ts');
      await blockCommand(asking(), hosts, flags, process);
    });

  acl
    .command('rollback')
    .description('show what an earlier revision would change, ask, publish it and hold it')
    .argument('[target]', 'name of an ACL target; default: all')
    .option('--to <revision>', 'as acl list shows it; default: the one before')
    .addOption(new Option('--family <version>', 'only the list of this IP version').choices(['4', '6']))
    .option('--yes', 'do not ask')
    .option('--release', 'let lists that are held follow the incidents again')
    .option('--reason <text>', 'for the audit log')
    .addHelpText(
      'after',
      examples(
        'acl rollback edge --reason "cut off a customer"',
        'acl rollback edge --family 4 --yes',
        'acl rollback edge --release',
      ),
    )
    .action(async (target: string | undefined, flags: RollbackFlags) => {
      const { aclRollbackCommand } = await import('../acl-desk.ts');
      await aclRollbackCommand(asking(), target, flags, process);
    });

  acl
    .command('forget-lost')
    .description(
      'drop listed hosts whose incidents are lost (damaged data, another cluster, new topics); until then they stay listed',
    )
    .requiredOption('--reason <text>', 'for the audit log')
    .action(async (flags: { reason: string }) => {
      const { aclForgetLostCommand } = await import('../acl-desk.ts');
      await aclForgetLostCommand(asking(), flags, process);
    });
}
