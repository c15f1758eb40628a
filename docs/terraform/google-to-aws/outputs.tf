output "annotations" {
  description = "The annotations of the ServiceAccounts of each role."
  value = {
    for name, role in aws_iam_role.created : name => {
      "amazonaws.com/role-arn"         = role.arn
      "iam.gke.io/gcp-service-account" = google_service_account.created[name].email
    }
  }
}
