terraform {
  required_version = ">= 1.5"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 5.0"
    }
  }
}

resource "azurerm_user_assigned_identity" "created" {
  for_each = var.identities

  name                = each.key
  resource_group_name = var.resource_group_name
  location            = var.location
}

locals {
  credentials = merge([
    for identity, settings in var.identities : {
      for name in settings.service_accounts : "${identity} ${name}" => { identity = identity, name = name }
    }
  ]...)
}

# Of one identity at most 20.
resource "azurerm_federated_identity_credential" "created" {
  for_each = local.credentials

  # 3 to 120 of letters, digits, - and _
  name                      = "${var.cluster}-${replace(each.value.name, "/[/.]/", "-")}-${substr(sha256(each.value.name), 0, 8)}"
  user_assigned_identity_id = azurerm_user_assigned_identity.created[each.value.identity].id
  issuer                    = var.issuer
  subject                   = "system:serviceaccount:${replace(each.value.name, "/", ":")}"
  audience                  = [var.audience]
}

resource "azurerm_role_assignment" "created" {
  for_each = merge([
    for identity, settings in var.identities : {
      for role in settings.roles : "${identity} ${role.name} ${role.scope}" => merge(role, { identity = identity })
    }
  ]...)

  scope                = each.value.scope
  role_definition_name = each.value.name
  principal_id         = azurerm_user_assigned_identity.created[each.value.identity].principal_id
  # the identity is new: without this, Entra may not have it yet
  principal_type = "ServicePrincipal"
}
