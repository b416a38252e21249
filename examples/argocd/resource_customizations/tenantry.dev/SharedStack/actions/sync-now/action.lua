-- Any new value asks for an ingestion job.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["tenantry.dev/sync-requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
