local annotations = obj.metadata.annotations or {}
-- As people write it: what the operator has read is in a condition.
local paused = annotations["tenantry.dev/paused"] == "true"
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  paused = paused or (condition.type == "Paused" and condition.status == "True")
end
local leaving = obj.metadata.deletionTimestamp ~= nil

return {
  ["pause"] = { displayName = "Pause", iconClass = "fa fa-fw fa-pause", disabled = paused },
  ["resume"] = { displayName = "Resume", iconClass = "fa fa-fw fa-play", disabled = not paused },
  -- Without a pool there is nothing of its own to read.
  ["sync-now"] = {
    displayName = "Read documents now",
    iconClass = "fa fa-fw fa-sync",
    disabled = paused or leaving or obj.spec.pool == nil,
  },
}
