terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

# One for each issuer and account. No thumbprint: AWS trusts the public CA of the issuer's certificate.
resource "aws_iam_openid_connect_provider" "cluster" {
  url            = var.issuer
  client_id_list = var.audiences
}

locals {
  # condition keys have the issuer without https://
  issuer = trimprefix(var.issuer, "https://")
}

data "aws_iam_policy_document" "trust" {
  for_each = var.roles

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.cluster.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = var.audiences
    }

    # Without it every ServiceAccount of the cluster could assume the role.
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = [for name in each.value.service_accounts : "system:serviceaccount:${replace(name, "/", ":")}"]
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
