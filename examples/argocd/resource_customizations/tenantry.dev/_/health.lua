-- Tenants and SharedStacks alike. Their status is in kstatus format, and this script judges as kstatus does, so that
-- Argo CD says what Helm and Flux say; docs/status.md of Tenantry has the rules. An object that is being deleted is
-- Progressing before Argo CD asks any script.

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is_true(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

-- The operator reads the annotation as people write it, and says in a condition what it has read.
local annotations = obj.metadata.annotations or {}
if annotations["tenantry.dev/paused"] == "true" or is_true("Paused") then
  return { status = "Suspended", message = "Paused by the annotation tenantry.dev/paused" }
end

if status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The operator has not seen the latest spec yet" }
end

if is_true("Reconciling") then
  return { status = "Progressing", message = conditions.Reconciling.message }
end
if is_true("Stalled") then
  return { status = "Degraded", message = conditions.Stalled.message }
end
if is_true("Ready") then
  return { status = "Healthy", message = conditions.Ready.message }
end
return { status = "Progressing", message = conditions.Ready and conditions.Ready.message or "It is not Ready yet" }
