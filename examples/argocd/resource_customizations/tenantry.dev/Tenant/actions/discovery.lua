local annotations = obj.metadata.annotations or {}
local paused = annotations["tenantry.dev/paused"] == "true"
local leaving = obj.metadata.deletionTimestamp ~= nil

return {
  ["pause"] = { displayName = "Pause", iconClass = "fa fa-fw fa-pause", disabled = paused },
  ["resume"] = { displayName = "Resume", iconClass = "fa fa-fw fa-play", disabled = not paused },
  ["sync-now"] = {
    displayName = "Read documents now",
    iconClass = "fa fa-fw fa-sync",
    disabled = paused or leaving,
  },
}
