output "provider_arn" {
  description = "The OIDC provider."
  value       = aws_iam_openid_connect_provider.cluster.arn
}

output "role_arns" {
  description = "The annotation eks.amazonaws.com/role-arn of the ServiceAccounts of each role."
  value       = { for name, role in aws_iam_role.created : name => role.arn }
}
