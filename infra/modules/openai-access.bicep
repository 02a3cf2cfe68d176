// What the app may do with one Azure OpenAI account, whoever made that account.

@description('Name of the account, in the resource group of this module.')
param accountName string

@description('Object id of the app.')
param appPrincipalId string

@description('Whether the app may use files, batches and fine-tuning. The role for that can also change deployments.')
param useFilesBatchesAndFineTuning bool

var cognitiveServicesOpenAiUser = '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd'
var cognitiveServicesOpenAiContributor = 'a001fd3d-188f-4b5d-821b-7da978bf7442'
var role = useFilesBatchesAndFineTuning ? cognitiveServicesOpenAiContributor : cognitiveServicesOpenAiUser

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' existing = {
  name: accountName
}

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, role)
  scope: account
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
  }
}
