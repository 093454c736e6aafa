"""Pages that are made when the site is built: every command's options, every setting of a configuration.

A hook of MkDocs. It also takes away links that lead out of docs/: the repository has what they lead to, the
site has not.
"""

import contextlib
import dataclasses
import inspect
import io
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from asr_topdown.bin import main
from asr_topdown.config import Config
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.report.glossary import GLOSSARY
from asr_topdown.schedule.searches import CONTROLS, SEARCHES, SPECS

GLOSSARY_HERE = "<!-- the report's glossary -->"
GENERATED = "reference/commands.md", "reference/configuration.md"
_OUT_OF_DOCS = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)[^)]*\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    pages = dict(zip(GENERATED, (commands_page(), configuration_page()), strict=True))
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """`[text](../conf/x.yaml)` is `text` (`conf/x.yaml`); the report's words stand at `GLOSSARY_HERE`."""
    depth = page.file.src_uri.count("/") + 1
    markdown = markdown.replace(GLOSSARY_HERE, glossary())
    return _OUT_OF_DOCS.sub(lambda found: _plain(found, depth), markdown)


def glossary() -> str:
    """The report's own glossary as a table."""
    rows = [f"| {_cell(word)} | {_cell(meaning)} |" for word, meaning in GLOSSARY.terms]
    return "\n".join(["| word | meaning |", "| --- | --- |", *rows])


def _plain(found: "re.Match[str]", depth: int) -> str:
    text, target = found[1], found[2]
    if not target.startswith("../" * depth):
        return found[0]
    path = target[3 * depth :]
    return text if path in text else f"{text} (`{path}`)"


# --- commands -----------------------------------------------------------------------------------------


def commands_page() -> str:
    """What `--help` says of each command and of the subcommands of those that have some."""
    parts = ["# Commands", "", "What `asr-topdown COMMAND --help` prints.", ""]
    for command in main.COMMANDS:
        text = help_of(command)
        parts += [f"## {command}", "", "```text", text, "```", ""]
        for name in subcommands(text):
            parts += [f"### {command} {name}", "", "```text", help_of(command, name), "```", ""]
    return "\n".join(parts)


def help_of(*words: str) -> str:
    """What `asr-topdown WORDS --help` prints, 100 columns wide."""
    said = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            main.main([*words, "--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return said.getvalue().rstrip()


def subcommands(text: str) -> list[str]:
    """The names that a help lists under its first argument, as argparse sets them out."""
    block = re.search(r"^positional arguments:\n  [A-Z]+\n((?:    .*\n)+)", text + "\n", re.MULTILINE)
    return re.findall(r"^    (\S+)", block[1], re.MULTILINE) if block else []


# --- configuration ------------------------------------------------------------------------------------


def configuration_page() -> str:
    """Every section and key, with type, default and meaning."""
    schema = Config.model_json_schema()
    parts = [
        "# Configuration",
        "",
        "A configuration is a YAML file. It names what differs from the defaults below; `include: [a.yaml]` "
        "takes",
        "over other files first; `--set section.key=value` comes last. `asr-topdown config FILE` prints all "
        "that",
        "holds. A key that is not listed here is an error.",
        "",
    ]
    for name, section in schema["properties"].items():
        parts += [f"## {name}", ""]
        parts += _section(schema, section, name)
    parts += ["## Searches and controls", "", "What `schedule.search` and `schedule.controls` may name.", ""]
    for title, specs in (("search", SEARCHES), ("control", CONTROLS)):
        parts += [f"| {title} | what it does |", "| --- | --- |"]
        parts += [f"| `{spec.name}` | {_cell(spec.help)} |" for spec in specs.values()] + [""]
    return "\n".join(parts)


def _section(schema: Mapping[str, Any], section: Mapping[str, Any], path: str) -> Iterator[str]:
    """A section as a table, and the sections in it after it; alternatives one after the other."""
    for kind, definition in _alternatives(schema, section):
        title = f"{path}, kind: {kind}" if kind else path
        if kind:
            yield from (f"### {title}", "")
        description = (definition.get("description") or "").partition("\n")[0]
        yield from (description, "") if description else ()
        described = _dataclass_fields(definition.get("title", ""))
        rows, inside = [], []
        for key, value in definition.get("properties", {}).items():
            if any("properties" in one for _, one in _alternatives(schema, value)):
                inside.append((f"{path}.{key}", value))
            elif key != "kind":
                text = value.get("description") or described.get(key, "")
                rows.append(
                    f"| `{path}.{key}` | {_type(schema, value)} | {_default(value)} | {_cell(text)} |"
                )
        if rows:
            yield from ("| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows, "")
        for name, value in inside:
            if not kind:
                yield from (f"### {name}", "")
            yield from _unless_given(value)
            yield from _section(schema, value, name)


def _unless_given(section: Mapping[str, Any]) -> Iterator[str]:
    """What a section is that may be left out."""
    default = section.get("default", {})
    if default is None:
        yield from ("Nothing, unless it is given.", "")
    elif default in ([], ()):
        yield from ("A list of such sections, empty unless it is given.", "")


def _alternatives(schema: Mapping[str, Any], value: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """(kind, definition) of each section that a value may be; the kind is empty where there is one only."""
    if "$ref" in value:
        definition = schema["$defs"][value["$ref"].rpartition("/")[2]]
        return [("", definition)]
    if "allOf" in value:
        return _alternatives(schema, value["allOf"][0])
    options = value.get("oneOf") or value.get("anyOf") or ([value["items"]] if "items" in value else [])
    found = [pair for option in options for pair in _alternatives(schema, option)]
    if len(found) < 2 and not ("oneOf" in value or "items" in value):
        return found
    return [(_kind(definition) or kind, definition) for kind, definition in found]


def _kind(definition: Mapping[str, Any]) -> str:
    return str(definition.get("properties", {}).get("kind", {}).get("const", ""))


def _type(schema: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if "$ref" in value:
        return "section"
    if "anyOf" in value or "oneOf" in value:
        return " or ".join(_type(schema, one) for one in value.get("anyOf") or value["oneOf"])
    if value.get("type") == "array":
        items = value.get("items") or next(iter(value.get("prefixItems", [])), {})
        return f"list of {_type(schema, items)}" if items else "list"
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true, false"}
    names |= {"object": "mapping", "null": "nothing"}
    limits = [("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")]
    limited = ", ".join(f"{sign} {value[name]}" for name, sign in limits if name in value)
    name = names.get(value.get("type", ""), "anything")
    return f"{name} {limited}".rstrip()


def _default(value: Mapping[str, Any]) -> str:
    if "default" not in value:
        return "must be given"
    default = value["default"]
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if default is None or default == "":
        return "–"
    return f"`{default}`".replace("'", "")


def _dataclass_fields(name: str) -> dict[str, str]:
    """Field -> meaning, for a dataclass: from its settings, or from its docstring's list of arguments."""
    classes = {
        FbankOptions.__name__: FbankOptions,
        **{s.settings.__name__: s.settings for s in SPECS.values()},
    }
    kind = classes.get(name)
    if kind is None:
        return {}
    told = {one.name: one.metadata.get("description", "") for one in dataclasses.fields(kind)}
    arguments = re.search(r"Args:\n(.*?)(?:\n\n|\Z)", inspect.getdoc(kind) or "", re.DOTALL)
    for line in re.split(r"\n    (?=\S)", "\n" + arguments[1]) if arguments else ():
        names, _, text = line.partition(":")
        told.update({one.strip(): " ".join(text.split()) for one in names.split(",") if text})
    return told


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
