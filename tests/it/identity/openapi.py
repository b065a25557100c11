"""Checks an OpenAPI document with openapi-spec-validator, and answers against what it says of them.

Reads {"document": …, "answers": [{"operation", "status", "content_type", "body"}]} from standard input.
Prints each fault on a line; none is success.
"""
import json
import sys

from jsonschema import FormatChecker
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

asked = json.load(sys.stdin)
document = asked["document"]
faults = [f"document: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
operations = {
    operation["operationId"]: operation
    for item in document["paths"].values()
    for operation in item.values()
}
for answer in asked["answers"]:
    at = f"{answer['operation']} {answer['status']}"
    responses = operations[answer["operation"]]["responses"]
    said = responses.get(str(answer["status"]))
    if said is None:
        faults.append(f"{at}: this status is not described")
        continue
    if "$ref" in said:
        said = document["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
    content = said.get("content")
    if content is None:
        if answer["body"] is not None:
            faults.append(f"{at}: a body that is not described")
        continue
    if answer["content_type"] not in content:
        faults.append(f"{at}: {answer['content_type']} is not described")
        continue
    # References are resolved in the document, so the schema is checked as a part of it.
    schema = {**content[answer["content_type"]]["schema"], "components": document["components"]}
    validator = OAS31Validator(schema, format_checker=FormatChecker())
    faults += [f"{at}: {error.message}" for error in validator.iter_errors(answer["body"])]
print("\n".join(faults))
sys.exit(bool(faults))
