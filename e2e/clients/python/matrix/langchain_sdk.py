"""The released `langchain-openai`: what agents are built with."""

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai_sdk import ERRORS, FUNCTION, PICTURE
from world import API_KEY, BASE_URL, RESULT, SCHEMA, Said

TOOLS = [{"type": "function", "function": FUNCTION}]


class Chat:
    name = "langchain-openai"
    endpoint = "chat"
    errors = ERRORS
    broken = openai.APIError

    def status(self, error):
        return error.status_code

    def retry_after(self, error):
        return error.response.headers["retry-after"]

    def llm(self, model, key=API_KEY):
        return ChatOpenAI(
            model=model, base_url=BASE_URL, api_key=key, max_retries=0, timeout=20, stream_usage=True,
            use_responses_api=False,
        )

    def said(self, message):
        counts = message.usage_metadata or {}
        return Said(
            message.content,
            message.response_metadata.get("finish_reason"),
            input_tokens=counts.get("input_tokens"),
            cached_tokens=counts.get("input_token_details", {}).get("cache_read", 0),
            output_tokens=counts.get("output_tokens"),
        )

    def text(self, model, question):
        return self.said(self.llm(model).invoke([HumanMessage(question)]))

    def stranger(self, model, question):
        return self.llm(model, "vk-nobody-has-this-key-0000000000000").invoke([HumanMessage(question)])

    def gathered(self, chunks):
        whole = None
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
        return whole

    def stream(self, model, question):
        return self.said(self.gathered(self.llm(model).stream([HumanMessage(question)])))

    def loop(self, model, question, streamed):
        agent = self.llm(model).bind_tools(TOOLS)
        turns = [HumanMessage(question)]
        message = self.gathered(agent.stream(turns)) if streamed else agent.invoke(turns)
        call = message.tool_calls[0]
        assert call["name"] == "get_weather"
        last = self.said(agent.invoke([*turns, message, ToolMessage(RESULT, tool_call_id=call["id"])]))
        last.arguments = call["args"]
        return last

    def vision(self, model, question):
        return self.text(model, [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": PICTURE}}])

    def schema(self, model, question):
        wanted = {"title": "forecast", "description": "A forecast.", **SCHEMA}
        structured = self.llm(model).with_structured_output(wanted, method="json_schema", include_raw=True)
        return Said(structured.invoke(question)["raw"].content)

    def abort(self, model, question):
        stream = self.llm(model).stream([HumanMessage(question)])
        next(chunk for chunk in stream if chunk.content)
        stream.close()

    def drain(self, model, question):
        self.gathered(self.llm(model).stream([HumanMessage(question)]))


class Embeddings:
    name = Chat.name
    endpoint = "embeddings"
    errors = ERRORS
    status = Chat.status
    retry_after = Chat.retry_after

    def embedder(self, model, key=API_KEY):
        # The length check would load a tokenizer from the network.
        return OpenAIEmbeddings(
            model=model, base_url=BASE_URL, api_key=key, max_retries=0, check_embedding_ctx_length=False
        )

    def text(self, model, question):
        return self.embedder(model).embed_query(question)

    def stranger(self, model, question):
        return self.embedder(model, "vk-nobody-has-this-key-0000000000000").embed_query(question)

    def vectors(self, model, texts):
        return self.embedder(model).embed_documents(texts)
