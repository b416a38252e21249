obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["tenantry.dev/paused"] = "true"
return obj
