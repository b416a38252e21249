if obj.metadata.annotations ~= nil then
  obj.metadata.annotations["tenantry.dev/paused"] = nil
end
return obj
