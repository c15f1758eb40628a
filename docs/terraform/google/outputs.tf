output "project_id" {
  description = "The module's value settings.projectID."
  value       = var.project_id
}

output "workload_identity_provider" {
  description = "The module's value settings.workloadIdentityProvider."
  value       = google_iam_workload_identity_pool_provider.cluster.name
}
