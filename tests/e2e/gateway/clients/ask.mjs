// Asks a question with the AWS SDK for JavaScript, as any program does.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.CLIENTS}/`);
const { BedrockAgentRuntimeClient, RetrieveCommand } = require("@aws-sdk/client-bedrock-agent-runtime");

const client = new BedrockAgentRuntimeClient({});
try {
  const question = { knowledgeBaseId: "TENANTRYKB", retrievalQuery: { text: process.argv[2] } };
  const answer = await client.send(new RetrieveCommand(question));
  const passages = answer.retrievalResults.map((found) => [found.location.s3Location.uri, found.content.text]);
  console.log(JSON.stringify({ passages }));
} catch (error) {
  if (!error.$metadata?.httpStatusCode) throw error;
  console.log(JSON.stringify({ refused: error.name }));
}
client.destroy();
