// Answers scenarios, one a line, by @cloud-copilot/iam-simulate: the second opinion of stateward-iam's tests.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const DECISIONS = { Allowed: 'allowed', ImplicitlyDenied: 'implicit_deny', ExplicitlyDenied: 'explicit_deny' }

const levels = (list) => (list ?? []).map((policies, at) => ({ orgIdentifier: `level-${at}`, policies }))

// A session has an inline policy and managed ones, which count as one; here it takes one.
const together = (policies) =>
  policies && { Version: '2012-10-17', Statement: policies.flatMap(({ policy }) => policy.Statement) }

// AWS's own among resource control policies, which allows all; it is taken to be there, and refused as somebody's.
const withoutAws = (policies) => policies.filter(({ name }) => name !== 'RCPFullAWSAccess')

async function answer(scenario) {
  const { request } = scenario
  const result = await runSimulation(
    {
      request: {
        principal: request.principal,
        action: request.action,
        resource: { resource: request.resource, accountId: request.resource_account },
        contextVariables: request.context,
      },
      identityPolicies: scenario.identity,
      permissionBoundaryPolicies: scenario.boundary,
      sessionPolicy: together(scenario.session),
      resourcePolicy: scenario.resource_policy?.policy,
      serviceControlPolicies: levels(scenario.scps),
      resourceControlPolicies: levels(scenario.rcps?.map(withoutAws)),
      vpcEndpointPolicies: scenario.vpc_endpoint,
    },
    {},
  )
  if (result.resultType === 'error') return { error: result.errors }
  const ignored = result.result?.ignoredContextKeys ?? []
  return ignored.length > 0 ? { error: { ignored } } : { decision: DECISIONS[result.overallResult] }
}

if (process.argv[2] === '--version') {
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
  for (const [name, version] of Object.entries(dependencies)) console.log(`${name} ${version}`)
  process.exit()
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n')
}
