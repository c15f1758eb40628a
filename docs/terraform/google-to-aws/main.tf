terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

locals {
  # what the Pods ask for
  audience = "token-injector/sts/assume-role-with-web-identity"
  pool     = "principal://iam.googleapis.com/projects/${var.project_number}/locations/global/workloadIdentityPools/${var.pool_id}"
}

resource "google_service_account" "created" {
  for_each = var.roles

  project    = var.project_id
  account_id = each.key
}

resource "google_service_account_iam_member" "created" {
  for_each = merge([
    for role, settings in var.roles : {
      for name in settings.service_accounts : "${role} ${name}" => { role = role, name = name }
    }
  ]...)

  service_account_id = google_service_account.created[each.value.role].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "${local.pool}/subject/system:serviceaccount:${replace(each.value.name, "/", ":")}"
}

data "aws_iam_policy_document" "trust" {
  for_each = var.roles

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["accounts.google.com"]
    }

    # Without it every Google account in the world could assume the role.
    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:sub"
      values   = [google_service_account.created[each.key].unique_id]
    }

    # The claim aud. Without it an ID token of the account for another receiver would do.
    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:oaud"
      values   = [local.audience]
    }

    # The claim azp, which is the unique ID or the email.
    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:aud"
      values   = [google_service_account.created[each.key].unique_id, google_service_account.created[each.key].email]
    }
  }
}

resource "aws_iam_role" "created" {
  for_each = var.roles

  name               = each.key
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
}

resource "aws_iam_role_policy_attachment" "created" {
  for_each = merge([
    for role, settings in var.roles : {
      for arn in settings.policy_arns : "${role} ${arn}" => { role = role, arn = arn }
    }
  ]...)

  role       = aws_iam_role.created[each.value.role].name
  policy_arn = each.value.arn
}
