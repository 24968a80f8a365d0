"""Every command: where its function is, one line of help, one realistic example.

Only this table is read to print the top of the help; a command's module is imported when
the command runs. Adding one: a line here, a function that returns a `Reply`.
"""

from __future__ import annotations

from dataclasses import dataclass

from otapgate.i18n import N_


@dataclass(frozen=True)
class Command:
    """Where a command's function is and what is said of it."""

    target: str
    """`module:function` below `otapgate.cli`."""
    help: str
    example: str


@dataclass(frozen=True)
class Group:
    """Commands under one word."""

    help: str
    commands: dict[str, Command | Group]


COMMANDS: dict[str, Command | Group] = {
    "demo": Command(
        "demo:demo",
        N_("Build a complete example and walk through the main story on it."),
        "otapgate demo ./demo",
    ),
    "init": Command(
        "init:init",
        N_("Make a new landscape with its ledger."),
        "otapgate init linde --stages T,A,P --role-admin Anna=anna.pub --role-admin"
        " Bram=bram.pub --key anna",
    ),
    "check": Command(
        "init:check", N_("Check every file of the landscape; all errors at once."),
        "otapgate check",
    ),
    "doctor": Command(
        "doctor:doctor", N_("What this machine lacks, and the command that mends it."),
        "otapgate doctor",
    ),
    "status": Command(
        "status:status",
        N_("What runs where, what waits for whom, what is unfinished."),
        "otapgate status administration",
    ),
    "people": Group(
        N_("Who is who: people and their keys."),
        {
            "enrol": Command(
                "people:enrol", N_("Enrol somebody with a key, or a further key."),
                "otapgate people enrol 'Esra Yilmaz' esra.pub",
            ),
            "list": Command("people:people_list", N_("Everybody, with keys and roles."),
                            "otapgate people list --json"),
            "revoke": Command(
                "people:revoke", N_("Somebody, or one key, signs nothing more."),
                "otapgate people revoke 'Esra Yilmaz'",
            ),
            "confirm": Command(
                "people:people_confirm",
                N_("Agree, as second role administrator, to what waits for it."),
                "otapgate people confirm --yes",
            ),
        },
    ),
    "role": Group(
        N_("Who may do what: roles and their holders."),
        {
            "grant": Command(
                "people:grant", N_("Give somebody a role."),
                "otapgate role grant 'Esra Yilmaz' test-lead --street administration",
            ),
            "revoke": Command(
                "people:role_revoke", N_("Withdraw a role."),
                "otapgate role revoke 'Esra Yilmaz' test-lead",
            ),
            "list": Command("people:role_list", N_("Every role and its holders."),
                            "otapgate role list"),
        },
    ),
    "policy": Group(
        N_("The policy that the gate decides by."),
        {
            "approve": Command(
                "log:policy_approve", N_("Put the policy in the files in force."),
                "otapgate policy approve --because 'board meeting of 12 January'",
            ),
            "show": Command(
                "log:policy_show", N_("What the policy covers, and whether it is in force."),
                "otapgate policy show",
            ),
        },
    ),
    "env": Group(
        N_("Environments, their owners and what they run."),
        {
            "list": Command("env:env_list", N_("Every environment."), "otapgate env list"),
            "show": Command("env:show", N_("One environment, whole."),
                            "otapgate env show administration-A"),
            "accept": Command(
                "env:accept", N_("Accept an environment as its owner, as described now."),
                "otapgate env accept administration-A",
            ),
            "adopt": Command(
                "env:adopt",
                N_("Take what every host holds for what runs there: before otapgate came, or"
                   " after going back failed."),
                "otapgate env adopt administration-P tryton@7.6.20",
            ),
            "pin": Command(
                "probe:pin", N_("The SSH host keys that its hosts show, as lines to put in."),
                "otapgate env pin administration-P",
            ),
            "probe": Command(
                "probe:probe",
                N_("Look at its hosts: apart from production, who gets in, like production."),
                "otapgate env probe administration-T isolation",
            ),
        },
    ),
    "change": Group(
        N_("The life of a change."),
        {
            "new": Command("change:new", N_("Submit a request for change (VTW)."),
                           "otapgate change new --from changes/upgrade.yml"),
            "list": Command("change:change_list", N_("Open changes."), "otapgate change list"),
            "show": Command("change:show", N_("One change, whole."),
                            "otapgate change show CHG-0001"),
            "classify": Command(
                "change:classify", N_("Give it impact and urgency, and so a priority."),
                "otapgate change classify CHG-0001 --impact medium --urgency medium",
            ),
            "authorise": Command(
                "change:authorise", N_("Authorise or reject it in your role."),
                "otapgate change authorise CHG-0001",
            ),
            "schedule": Command(
                "change:schedule", N_("Say when it may go to production."),
                "otapgate change schedule CHG-0001 --window 2027-01-12T16:00/2027-01-12T20:00",
            ),
            "close": Command(
                "change:close", N_("Close it with its evaluation."),
                "otapgate change close CHG-0001 --evaluation 'Goal reached, no faults.'",
            ),
        },
    ),
    "release": Group(
        N_("Releases: what is moved, byte for byte."),
        {
            "init": Command("release:init", N_("Write a first release file and playbooks."),
                            "otapgate release init timetable"),
            "build": Command(
                "release:build", N_("Build a release from its file."),
                "otapgate release build releases/tryton-8.0.yml --change CHG-0001",
            ),
            "list": Command("release:release_list", N_("Every release and where it runs."),
                            "otapgate release list"),
            "show": Command("release:show", N_("One release, its files and evidence."),
                            "otapgate release show tryton@8.0.12"),
            "diff": Command("release:diff", N_("What differs between two releases."),
                            "otapgate release diff tryton@7.6.20 tryton@8.0.12"),
        },
    ),
    "test": Group(
        N_("Test plans and test runs."),
        {
            "plan": Group(
                N_("Test plans."),
                {
                    "init": Command(
                        "test:plan_init", N_("Write a first test plan of a kind."),
                        "otapgate test plan init web -o plans/timetable.yml",
                    ),
                    "check": Command("test:plan_check", N_("Check a plan's file."),
                                     "otapgate test plan check plans/tryton.yml"),
                    "register": Command(
                        "test:plan_register", N_("Register a plan before the tests."),
                        "otapgate test plan register plans/tryton.yml",
                    ),
                },
            ),
            "run": Command(
                "test:run", N_("Carry out a registered plan on a release."),
                "otapgate test run tryton@8.0.12 --env T --plan tryton",
            ),
            "show": Command("test:show", N_("A test run on record."),
                            "otapgate test show run-3f9a1c0b2d4e"),
            "purge": Command("purge:purge", N_("Delete evidence of tests whose time is over."),
                             "otapgate test purge --dry-run"),
        },
    ),
    "rehearse": Command(
        "promote:rehearse", N_("Deploy, roll back, and prove that the state came back."),
        "otapgate rehearse tryton@8.0.12 --env T",
    ),
    "anonymize": Group(
        N_("Safe test data from production data."),
        {
            "init": Command(
                "anonymize:init", N_("Propose a plan for a database."),
                "otapgate anonymize init sqlite:///srv/tryton.db -o anonymizers/tryton.yml",
            ),
            "check": Command(
                "anonymize:check", N_("Check a plan, with a sample side by side."),
                "otapgate anonymize check anonymizers/tryton.yml --from sqlite:///srv/tryton.db",
            ),
            "run": Command(
                "anonymize:run", N_("Anonymise into a test environment's database."),
                "otapgate anonymize run anonymizers/tryton.yml --from sqlite:///srv/P/tryton.db"
                " --to sqlite:///srv/T/tryton.db --env T",
            ),
            "list": Command("anonymize:dataset_list", N_("Every dataset on record."),
                            "otapgate anonymize list"),
        },
    ),
    "accept": Command(
        "evidence:accept", N_("Record the test lead's verdict on every criterion."),
        "otapgate accept tryton@8.0.12 --env A --change CHG-0001 --criterion login=pass",
    ),
    "sign-off": Command(
        "evidence:sign_off", N_("Sign off, or refuse, a release for a transition."),
        "otapgate sign-off tryton@8.0.12 --to P --change CHG-0001",
    ),
    "parallel": Group(
        N_("Old and new side by side, and whether they agree."),
        {
            "start": Command(
                "parallel:start", N_("Begin a parallel run by a comparison plan."),
                "otapgate parallel start tryton@8.0.12 --plan tryton --change CHG-0001",
            ),
            "compare": Command(
                "parallel:compare", N_("Capture both sides now and compare them."),
                "otapgate parallel compare par-3f9a1c0b2d4e",
            ),
            "conclude": Command(
                "parallel:conclude", N_("Say, as process owner, whether they agree."),
                "otapgate parallel conclude par-3f9a1c0b2d4e --agreed --because 'Five days, all"
                " invoices the same.'",
            ),
            "list": Command("parallel:parallel_list", N_("Every parallel run."),
                            "otapgate parallel list"),
            "show": Command("parallel:show", N_("One parallel run and its comparisons."),
                            "otapgate parallel show par-3f9a1c0b2d4e"),
        },
    ),
    "waive": Command(
        "waive:waive", N_("Let one release pass one rule until a day, with a reason."),
        "otapgate waive OG304 tryton@8.0.12 --because 'load test follows in week 6'"
        " --until 2027-02-12",
    ),
    "promote": Command(
        "promote:promote", N_("Move a release into an environment, if the gate allows it."),
        "otapgate promote tryton@8.0.12 --to P --change CHG-0001",
    ),
    "rollback": Command(
        "promote:rollback", N_("Go back to the release before, or end an unfinished promotion."),
        "otapgate rollback administration-P",
    ),
    "gate": Group(
        N_("The gate: what it says, its rules and its log."),
        {
            "explain": Command(
                "gate:explain",
                N_("What the gate would say now, with every gap; reads the cache."),
                "otapgate gate explain tryton@8.0.12 --to P --change CHG-0001",
            ),
            "rules": Command("gate:gate_rules", N_("The rules, or one rule explained."),
                             "otapgate gate rules OG501"),
            "log": Command("gate:gate_log", N_("The decisions on record."),
                           "otapgate gate log --refused"),
            "replay": Command("gate:replay", N_("Make decisions again and compare."),
                              "otapgate gate replay --all"),
        },
    ),
    "log": Group(
        N_("The ledger."),
        {
            "list": Command("log:log_list", N_("Every entry."), "otapgate log list --last 20"),
            "show": Command("log:show", N_("One entry, whole."), "otapgate log show 12"),
            "verify": Command("log:verify", N_("Verify the ledger from the first entry on."),
                              "otapgate log verify --pin checkpoint.txt"),
            "checkpoint": Command(
                "log:checkpoint", N_("The ledger's head, signed, to be kept elsewhere."),
                "otapgate log checkpoint -o checkpoint.txt",
            ),
            "dismiss": Command(
                "log:dismiss", N_("Say that entries without effect were looked into."),
                "otapgate log dismiss 41 --because 'tried with a revoked key; spoken to'",
            ),
            "clock": Command(
                "log:clock", N_("Set the ledger's time right after an entry from the future."),
                "otapgate log clock --because 'the new laptop was a year ahead'",
            ),
            "move": Command("log:move", N_("Say that the ledger lives here from now on."),
                            "otapgate log move --because 'new server'"),
        },
    ),
    "lab": Group(
        N_("Hosts on this machine to try things out on, each with its own SSH server."),
        {
            "up": Command("lab:up", N_("Start a lab."), "otapgate lab up lab"),
            "down": Command("lab:down", N_("End a lab, and clear what it left."),
                            "otapgate lab down lab"),
            "status": Command("lab:status", N_("The hosts of a lab."), "otapgate lab status lab"),
            "exec": Command(
                "lab:execute", N_("Run a command in the lab's network."),
                "otapgate lab exec lab -- ansible-playbook -i hosts.yml site.yml",
            ),
            "fetch": Command(
                "lab:fetch",
                N_("Unpack Debian packages for labs, without installing them."),
                "otapgate lab fetch postgresql",
            ),
        },
    ),
    "worker": Command(
        "worker:worker",
        N_("Run Ansible here for an otapgate that can't reach the hosts itself."),
        "otapgate worker",
    ),
    "schema": Command("schema:schema", N_("JSON Schema of a file format."),
                      "otapgate schema landscape"),
}  # fmt: skip
