"""RO-Crates: what a folder of results holds, in the form that archives of research read.

The form is that of https://w3id.org/ro/crate/1.1, a graph in JSON: the folder, its files, and the
actions that made them, each with the software and the conditions.
"""

import json
import mimetypes

CRATE = "ro-crate-metadata.json"
_LICENSE = "https://creativecommons.org/licenses/by/4.0/"
_TYPES = {".ipynb": "application/x-ipynb+json", ".svg": "image/svg+xml", ".csv": "text/csv"}


def crate(manifest: dict) -> str:
    """The metadata of the folder of a run as JSON, from its manifest.

    >>> manifest = {"scale": "quick", "seed": 0, "computed": {}}
    >>> [entity["@id"] for entity in json.loads(crate(manifest))["@graph"]]
    ['ro-crate-metadata.json', './', 'https://creativecommons.org/licenses/by/4.0/']
    """
    computed = manifest["computed"]
    actions = [_action(target, entry, manifest) for target, entry in computed.items()]
    files = [{"@id": "manifest.json"}] if computed else []
    files += [part for action in actions for part in action["result"]]
    days = sorted(entry["date"] for entry in computed.values() if "date" in entry)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": "From Lazy to Rich: results computed",
        "description": f"Chapters and figures at scale {manifest['scale']}, seed "
        f"{manifest['seed']}, with their claims and the numbers behind each figure.",
        "datePublished": days[-1] if days else None,
        "license": {"@id": _LICENSE},
        "hasPart": files,
        "mentions": [{"@id": action["@id"]} for action in actions],
    }
    about = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    license = {"@id": _LICENSE, "@type": "CreativeWork", "name": "CC BY 4.0"}
    graph = [about, root, license, *map(_file, files), *actions, *_software(manifest)]
    context = "https://w3id.org/ro/crate/1.1/context"
    return json.dumps({"@context": context, "@graph": graph}, indent=1) + "\n"


def _action(target, entry, manifest):
    """What made the files of a chapter or a figure."""
    folder = target.partition("#")[0]
    conditions = {"commit": entry.get("commit"), "machine": entry.get("machine")}
    conditions |= {"device": manifest.get("device")}
    told = ", ".join(f"{name} {value}" for name, value in conditions.items() if value)
    return {
        "@id": f"#computed-{target.replace('#', '-')}",
        "@type": "CreateAction",
        "name": f"{target} computed",
        "description": told,
        "endTime": entry.get("date"),
        "instrument": [{"@id": one["@id"]} for one in _software(manifest)],
        "result": [{"@id": f"{folder}/{name}"} for name in entry["files"]],
    }


def _software(manifest):
    software = manifest.get("software", {})
    versions = {"python": software.get("python"), **software.get("packages", {})}
    return [
        {
            "@id": f"#{name}",
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": version,
        }
        for name, version in versions.items()
        if version
    ]


def _file(part):
    name = part["@id"]
    suffix = name[name.rfind(".") :]
    kind = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    return {"@id": name, "@type": "File", "encodingFormat": kind}
