"""built_in.py VERSION FILE...: resources of Kubernetes' own, judged strictly (an unknown field is an error)."""
import sys

import kubernetes_validate
import yaml

version, files = sys.argv[1], sys.argv[2:]
failed = False
for file in files:
    for resource in yaml.safe_load_all(open(file)):
        try:
            kubernetes_validate.validate(resource, version, strict=True)
        except Exception as error:  # whatever it is, it is told
            failed = True
            print(f"{file}: {resource['kind']} by Kubernetes {version}: {error}")
sys.exit(failed)
