output "client_ids" {
  description = "The annotation azure.workload.identity/client-id of the ServiceAccounts of each identity."
  value       = { for name, identity in azurerm_user_assigned_identity.created : name => identity.client_id }
}

output "tenant_ids" {
  description = "The tenant of each identity: the module's default, or the annotation azure.workload.identity/tenant-id."
  value       = { for name, identity in azurerm_user_assigned_identity.created : name => identity.tenant_id }
}
