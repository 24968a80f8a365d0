"""From arguments to an exit code: parse, run one command, show its reply or error."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import typer
from typer._click.core import Context
from typer._click.exceptions import ClickException, UsageError
from typer._click.formatting import HelpFormatter
from typer._click.shell_completion import CompletionItem
from typer._coercion import RuntimeParam
from typer.core import TyperCommand, TyperGroup, TyperOption

from otapgate import __version__, errors, i18n
from otapgate.cli import language, wording
from otapgate.cli.commands import COMMANDS, Command, Group
from otapgate.cli.options import HELP, Options, from_environment, options, split, use
from otapgate.cli.output import Reply, print_json, show_error
from otapgate.i18n import _

INTERRUPTED = 130
"""What shells expect after Ctrl-C when nothing was left half-done."""


class Plain(RuntimeParam):
    """Text and flags as they were typed. Typer would load pydantic (0.1 s) to say the same."""

    def _coerce_value(self, value: Any, param: Any, ctx: Context) -> Any:
        return value


def _plainly(params: list[Any]) -> list[Any]:
    """Take text and flags as they come."""
    for param in params:
        found = getattr(param, "type_descriptor", None)
        if found is not None and found.annotation in (str, str | None, bool):
            param._runtime_param = Plain(found.parameter_info, found.annotation)
    return params


class LazyGroup(TyperGroup):
    """A group that imports a command's module only to run it."""

    def get_params(self, ctx: Context) -> list[Any]:
        return _plainly(super().get_params(ctx))

    def __init__(self, name: str, group: Group) -> None:
        super().__init__(name=name, help=_(group.help), no_args_is_help=True, rich_markup_mode=None)
        self.group = group

    def get_help(self, ctx: Context) -> str:
        return wording.page(super().get_help(ctx))

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        return [
            CompletionItem(name, help=_(known.help))
            for name, known in self.group.commands.items()
            if name.startswith(incomplete)
        ]

    def list_commands(self, ctx: Context) -> list[str]:
        return list(self.group.commands)

    def get_command(self, ctx: Context, cmd_name: str) -> Any:
        known = self.group.commands.get(cmd_name)
        if known is None:
            return None
        return LazyGroup(cmd_name, known) if isinstance(known, Group) else load(cmd_name, known)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        rows = [(name, _(known.help)) for name, known in self.group.commands.items()]
        with formatter.section(_("Commands")):
            formatter.write_dl(rows)
        _everywhere(formatter)

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:
        if args and args[0] not in self.group.commands and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], list(self.group.commands), 2)
            raise errors.Usage(
                "command-unknown",
                _("There is no command {name}.").format(name=args[0]),
                remedy=_("did you mean {names}?").format(names=_(" or ").join(near))
                if near
                else f"{ctx.command_path} --help",
            )
        return super().resolve_command(ctx, args)


@dataclass(frozen=True)
class Call:
    """A parsed command that is still to be carried out.

    Not within the parser, which would turn an interruption and a broken pipe in the middle
    of a promotion into an exit without a word.
    """

    make: Callable[[], Any]


class LazyCommand(TyperCommand):
    """A command whose help ends with the options that hold everywhere, and an example."""

    example = ""

    def invoke(self, ctx: Context) -> Any:
        return Call(partial(super().invoke, ctx))

    def get_help(self, ctx: Context) -> str:
        return wording.page(super().get_help(ctx))

    def get_params(self, ctx: Context) -> list[Any]:
        return _plainly(super().get_params(ctx))

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        _everywhere(formatter)
        with formatter.section(_("Example")):
            formatter.write_text(self.example)


def _everywhere(formatter: HelpFormatter) -> None:
    with formatter.section(_("Everywhere")):
        formatter.write_dl([(name, _(text)) for name, text in HELP])


def load(name: str, known: Command) -> LazyCommand:
    """The command's parser, made from its function's signature."""
    module, _colon, function = known.target.partition(":")
    callback = getattr(importlib.import_module(f"otapgate.cli.{module}"), function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=LazyCommand, help=_(known.help))(callback)
    command = typer.main.get_command(app)
    assert isinstance(command, LazyCommand), "cls says so"
    command.example = known.example
    return command


def root() -> LazyGroup:
    """The whole tree."""
    what = i18n.N_("Moves a change from test to production, and says no until it is right.")
    group = LazyGroup("otapgate", Group(what, COMMANDS))
    install, show = typer.main.get_install_completion_arguments()
    assert isinstance(install, typer.core.TyperOption), "options, typed as parameters"
    assert isinstance(show, typer.core.TyperOption), "options, typed as parameters"
    install.help = _("Let the shell complete otapgate's words from now on.")
    show.help = _("Print what that would put in the shell's files.")
    group.params += [install, show]
    return group


def takes_value(words: Sequence[str], option: str) -> bool:
    """Whether an option takes the argument after it, in the command that the words begin
    with. Only asked where an argument looks like an option that holds everywhere."""
    here: Command | Group | None = Group("", COMMANDS)
    name = ""
    for name in words:
        here = here.commands.get(name) if isinstance(here, Group) else here
        if not isinstance(here, Group):
            break
    if not isinstance(here, Command) or "=" in option:
        return False
    return any(
        option in param.opts and not getattr(param, "is_flag", False) and not param.count
        for param in load(name, here).params
        if isinstance(param, TyperOption)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    use(from_environment())
    i18n.use(language.choose(options()))
    try:
        found, rest = split(arguments, takes_value)
        use(found)
        _utf_8(arguments)
        if found.lang is not None and found.lang not in i18n.LANGUAGES:
            raise errors.Usage(
                "language-unknown",
                _("There is no language {name}; there are: {known}.").format(
                    name=found.lang, known=", ".join(i18n.LANGUAGES)
                ),
            )
        i18n.use(language.choose(found))
        words = rest[: rest.index("--")] if "--" in rest else rest
        if "--version" in words:
            Reply({"version": __version__}, f"otapgate {__version__}").show()
            return errors.Exit.OK
        return _run(rest)
    except errors.OtapgateError as error:
        show_error(error, getattr(error, "data", None))
        return error.exit
    except ClickException as error:
        return _usage(error)
    except KeyboardInterrupt:
        show_error(errors.Failed("interrupted", _("Interrupted.")))
        return INTERRUPTED
    except Exception as error:  # the last resort: fail closed and say where
        return _unexpected(error)


def _utf_8(arguments: Sequence[str]) -> None:
    """What isn't UTF-8 can't stand in the ledger, in a file or in JSON. Raises Usage."""
    for word in arguments:
        if any("\ud800" <= c <= "\udfff" for c in word):
            text = os.fsencode(word).decode("utf-8", "backslashreplace")
            raise errors.Usage(
                "not-utf-8",
                _("'{text}' isn't UTF-8.").format(text=text),
                remedy=_("type it anew in a terminal that uses UTF-8; `locale` says which it uses"),
            )


def _run(arguments: list[str]) -> int:
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if options().json and "--help" in words:
        return _help(arguments)
    reply = root().main(arguments, prog_name="otapgate", standalone_mode=False)
    if isinstance(reply, Call):
        reply = reply.make()
    if isinstance(reply, Reply):
        reply.show()
        return reply.exit
    if reply == INTERRUPTED:
        raise KeyboardInterrupt
    return reply if isinstance(reply, int) else errors.Exit.OK


def _help(arguments: list[str]) -> int:
    """The page that the parser prints, as JSON."""
    import contextlib
    import io

    page = io.StringIO()
    with contextlib.redirect_stdout(page):
        root().main(arguments, prog_name="otapgate", standalone_mode=False)
    print_json({"ok": True, "help": page.getvalue()})
    return errors.Exit.OK


def _usage(error: ClickException) -> int:
    context = error.ctx if isinstance(error, UsageError) else None
    remedy = f"{context.command_path} --help" if context is not None else "otapgate --help"
    if error.__class__.__name__ == "NoArgsIsHelpError":
        if options().json:
            show_error(errors.Usage("usage", _("A command is missing."), remedy=remedy))
            return errors.Exit.USAGE
        sys.stderr.write(error.format_message() + "\n")
        return errors.Exit.USAGE
    show_error(errors.Usage("usage", wording.usage(error), remedy=remedy))
    return errors.Exit.USAGE


def _unexpected(error: Exception) -> int:
    text = "".join(traceback.format_exception(error))
    if options().debug:
        sys.stderr.write(text)
    where = _keep(text)
    show_error(
        errors.Failed(
            "unexpected",
            _("Something went wrong that otapgate did not foresee: {error}.").format(
                error=f"{type(error).__name__}: {error}"
            ),
            remedy=_("report it with {where}; --debug shows it here").format(where=where or "-"),
        )
    )
    return errors.Exit.FAILED


def _keep(text: str) -> str | None:
    """Write the traceback where its owner alone can read it."""
    import tempfile

    try:
        handle, name = tempfile.mkstemp(prefix="otapgate-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    return name


__all__ = ["Options", "main", "print_json", "root"]
