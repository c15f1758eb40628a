terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

# What the script, the server and the pool need. They stay on when this configuration is destroyed: others may use them.
resource "google_project_service" "apis" {
  for_each = toset(["iam.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com"])

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

resource "google_iam_workload_identity_pool" "cluster" {
  depends_on = [google_project_service.apis]

  project                   = var.project_id
  workload_identity_pool_id = var.pool_id
}

resource "google_iam_workload_identity_pool_provider" "cluster" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.cluster.workload_identity_pool_id
  workload_identity_pool_provider_id = var.provider_id

  attribute_mapping = {
    "google.subject"                 = "assertion.sub"
    "attribute.namespace"            = "assertion['kubernetes.io']['namespace']"
    "attribute.service_account_name" = "assertion['kubernetes.io']['serviceaccount']['name']"
  }

  oidc {
    issuer_uri        = var.issuer
    jwks_json         = var.jwks_file == null ? null : file(var.jwks_file)
    allowed_audiences = var.allowed_audiences
  }
}

locals {
  # the principal of a Kubernetes ServiceAccount NAMESPACE/NAME begins with this
  subject = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.cluster.name}/subject/system:serviceaccount"
}

resource "google_service_account" "created" {
  for_each   = var.create_accounts
  depends_on = [google_project_service.apis]

  project    = var.project_id
  account_id = each.value
}

# Access tokens and ID tokens of the account.
resource "google_service_account_iam_member" "workload_identity_user" {
  for_each   = var.service_accounts
  depends_on = [google_service_account.created]

  service_account_id = "projects/${var.project_id}/serviceAccounts/${each.value}"
  role               = "roles/iam.workloadIdentityUser"
  member             = "${local.subject}:${replace(each.key, "/", ":")}"
}

# Only for organizations whose own role replaces workloadIdentityUser and lacks iam.serviceAccounts.getOpenIdToken: the
# account then asks for its own ID tokens.
resource "google_service_account_iam_member" "open_id_token_creator" {
  for_each   = var.id_tokens_by_account ? toset(values(var.service_accounts)) : toset([])
  depends_on = [google_service_account.created]

  service_account_id = "projects/${var.project_id}/serviceAccounts/${each.value}"
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = "serviceAccount:${each.value}"
}

# Direct access: roles of the Kubernetes ServiceAccount itself, on the project.
resource "google_project_iam_member" "direct_access" {
  for_each = merge([
    for name, roles in var.direct_access : { for role in roles : "${name} ${role}" => { name = name, role = role } }
  ]...)

  project = var.project_id
  role    = each.value.role
  member  = "${local.subject}:${replace(each.value.name, "/", ":")}"
}
